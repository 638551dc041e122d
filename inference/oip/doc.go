// Package oip is the wire form of the Open Inference Protocol, version 2, over gRPC, as Triton, KServe and MLServer
// speak it: the client's side and, for tests, the server's, made from oip.proto by `make generate`.
package oip

//go:generate go run generate.go
