// Command sibyl is a prediction service with a memory: it runs ONNX models on images over GraphQL, and stores each
// prediction with its image in PostgreSQL before it answers.
//
// This package is the process: the command line, the configuration, HTTP and the life cycle. What is predicted and
// stored is decided in the packages below it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks the process to end; with the handler gone, a second one ends it at once.
	context.AfterFunc(ctx, stop)
	command, err := parse(os.Args[1:])
	if err == nil {
		err = command.Run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "sibyl:", err)
		os.Exit(1)
	}
}
