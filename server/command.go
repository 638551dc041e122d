package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/alecthomas/kong"
)

// commandLine is what can be typed after `sibyl`.
type commandLine struct {
	Serve   serveCommand   `cmd:"" help:"Serves predictions over HTTP until it is told to stop."`
	Migrate migrateCommand `cmd:"" help:"Changes the schema of the database; serve does so when it starts."`
	Export  exportCommand  `cmd:"" help:"Writes stored predictions to a file."`
	Models  modelsCommand  `cmd:"" help:"Checks a model repository: loads and runs every version, and tells the times."`
	Keys    keysCommand    `cmd:"" help:"Makes API keys."`
	Version versionCommand `cmd:"" help:"Prints the version."`
	Probe   probeCommand   `cmd:"" hidden:""`
}

// invocation is a command with its flags, ready to run.
type invocation struct{ context *kong.Context }

// parse reads the command line and the environment. Asked for help, it prints it and ends the process.
func parse(args []string) (*invocation, error) {
	unsetEmptyVariables()
	parsed, err := newParser().Parse(args)
	if err != nil {
		return nil, fmt.Errorf("%w; `sibyl --help` tells the flags", err)
	}
	return &invocation{parsed}, nil
}

// unsetEmptyVariables takes variables of ours that are empty out of the environment: compose files and shells make those of
// what nobody has set.
func unsetEmptyVariables() {
	for _, variable := range os.Environ() {
		if name, value, _ := strings.Cut(variable, "="); value == "" && strings.HasPrefix(name, "SIBYL_") {
			_ = os.Unsetenv(name) // which fails for no name that is there
		}
	}
}

func newParser(options ...kong.Option) *kong.Kong {
	options = append(options,
		kong.Name("sibyl"),
		kong.DefaultEnvars("SIBYL"),
		kong.Description("A prediction service with a memory. Each flag has an environment variable; the flag wins."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true}))
	return kong.Must(&commandLine{}, options...)
}

// Run runs the command until it has ended, or ctx has.
func (i *invocation) Run(ctx context.Context) error {
	i.context.BindTo(ctx, (*context.Context)(nil))
	return i.context.Run()
}

// flag describes one flag of `sibyl serve`.
type flag struct {
	// Name is that of the flag, with its dashes; Variable that of the environment.
	Name, Variable string
	// Default is the value where neither is given, as it would be typed; it may be empty.
	Default string
}

// flags are those of `sibyl serve`, in the order of --help. The README's table is compared with them.
func flags() []flag {
	var all []flag
	for _, command := range newParser().Model.Children {
		if command.Name != "serve" {
			continue
		}
		for _, f := range command.Flags {
			all = append(all, flag{"--" + f.Name, f.Envs[0], f.Default})
		}
	}
	return all
}

type serveCommand struct {
	Config `embed:""`
}

// Run serves until ctx ends.
func (c *serveCommand) Run(ctx context.Context) error {
	logger := newLogger(os.Stderr, c.LogFormat, c.LogLevel)
	c.Probe = probeItself()
	keepHeadroom()
	server, err := New(ctx, c.Config, logger)
	if err != nil {
		if ctx.Err() != nil {
			return nil // told to stop while it started
		}
		return err
	}
	err = server.Run(ctx)
	if closeErr := server.Close(); err == nil {
		err = closeErr
	}
	return err
}

type versionCommand struct{}

// Run prints the version of the module, or the revision it was built from.
func (versionCommand) Run() error {
	version := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
	}
	_, err := fmt.Println("sibyl", version, runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH)
	return err
}
