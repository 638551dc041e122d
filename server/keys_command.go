package main

import (
	"fmt"
	"os"
	"strings"

	"sibyl/graph"
	"sibyl/server/keys"
)

// keysCommand is about API keys.
type keysCommand struct {
	New keysNew `cmd:"" help:"Makes a key, and prints it and its line for the file of --api-keys."`
}

type keysNew struct {
	Name  string   `arg:"" help:"What the log calls who has the key: letters, digits and ._@-."`
	Roles []string `required:"" env:"-" enum:"reader,predictor,labeller,admin" help:"What the key is for: ${enum}."`
}

// Run prints the key and its line to the standard output, and what they are beside it, so that `| tail -n 1 >>FILE`
// keeps the line.
func (c *keysNew) Run() error {
	roles := make([]graph.Role, len(c.Roles))
	for i, name := range c.Roles {
		roles[i] = graph.Role(strings.ToUpper(name))
	}
	key, line, err := keys.New(c.Name, roles)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "The key, which is shown now and never again, and its line for the file of --api-keys:")
	_, err = fmt.Printf("%s\n%s\n", key, line)
	return err
}
