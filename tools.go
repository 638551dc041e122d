//go:build tools

// Package tools pins the versions of the programs that `make lint`, `make generate` and `make audit` run.
package tools

import (
	_ "github.com/bufbuild/protocompile"
	_ "golang.org/x/vuln/cmd/govulncheck"
	_ "google.golang.org/grpc/cmd/protoc-gen-go-grpc"
	_ "google.golang.org/protobuf/cmd/protoc-gen-go"
	_ "honnef.co/go/tools/cmd/staticcheck"
	_ "mvdan.cc/gofumpt"
)
