package main

import "github.com/alecthomas/kong"

// DefaultConfig is the configuration of `sibyl serve` where nothing is given.
func DefaultConfig() Config {
	var c Config
	if err := kong.ApplyDefaults(&c); err != nil {
		panic(err)
	}
	return c
}
