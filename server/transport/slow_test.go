package transport_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"sibyl/server/transport"
)

// pipes is a listener of connections in memory, which have no buffers: an answer is never lost by what comes after it.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error   { close(p.closed); return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// TestSlowBodyByTheByte comes a byte at a time, for longer than an operation may take.
func TestSlowBodyByTheByte(t *testing.T) {
	b := setup(t, func(o *transport.Options) {
		o.Gate, o.Timeout = transport.NewGate(8, 1<<20), 50*time.Millisecond
		o.MaxDocumentBytes, o.MaxRequestBytes, o.MaxUploadBytes = 1<<20, 1<<20, 1<<20
	})
	listener := pipes{make(chan net.Conn), make(chan struct{})}
	server := &http.Server{Handler: b.handler}
	go func() { _ = server.Serve(listener) }()
	defer func() { _ = server.Close() }()
	for mediaType, begin := range map[string]string{
		"application/json":                `{"query":"{ok}"`,
		"multipart/form-data; boundary=b": "--b\r\nContent-Disposition: form-data; name=\"a\"; filename=\"a\"\r\n\r\n",
	} {
		client, conn := net.Pipe()
		listener.conns <- conn
		const slowly = 100_000 // bytes, each of which takes a millisecond at least
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			_, err := fmt.Fprintf(client, "POST / HTTP/1.1\r\nHost: localhost\r\nApollo-Require-Preflight: 1\r\n"+
				"Content-Type: %s\r\nContent-Length: %d\r\n\r\n%s", mediaType, len(begin)+slowly, begin)
			for sent := 0; err == nil && sent < slowly; sent++ {
				time.Sleep(time.Millisecond)
				_, err = client.Write([]byte(" "))
			}
		}()
		resp, err := http.ReadResponse(bufio.NewReader(client), nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		late := resp.StatusCode == http.StatusGatewayTimeout && strings.Contains(string(text), "DEADLINE_EXCEEDED") &&
			strings.Contains(string(text), "body did not arrive in time")
		if err != nil || !late || !resp.Close {
			t.Errorf("%s: %s %s %v, closes: %t", mediaType, resp.Status, text, err, resp.Close)
		}
		_ = resp.Body.Close()
		_ = client.Close()
		<-gone
		eventually(t, "nothing is in flight", func() bool {
			operations, bytes := b.gate.InFlight()
			return operations == 0 && bytes == 0
		})
	}
}

// TestTenThousandParts are refused by the first that is too many, and take nothing with them.
func TestTenThousandParts(t *testing.T) {
	const count = 10_000
	named := func(name string) (parts []part) {
		parts = []part{field("operations", oneFile), field("map", `{}`)}
		for i := range count {
			parts = append(parts, file(strings.ReplaceAll(name, "#", fmt.Sprint(i)), "x"))
		}
		return parts
	}
	b := setup(t, func(o *transport.Options) {
		o.Gate, o.MaxRequestBytes = transport.NewGate(8, 100<<20), 10<<20
	})
	fields := named("field#")
	for i := range fields {
		fields[i].filename = ""
	}
	for name, row := range map[string]struct {
		parts   []part
		status  int
		message string
	}{
		"files":         {named("file#"), http.StatusRequestEntityTooLarge, "4 parts at most"},
		"without files": {fields, http.StatusRequestEntityTooLarge, "4 parts at most"},
		"of one name":   {named("file"), http.StatusBadRequest, "Two parts are named"},
		"without names": {named(""), http.StatusBadRequest, "has no name"},
	} {
		resp, a := b.do(t, form(t, row.parts...))
		told := a.code() == bad && strings.Contains(a.Errors[0].Message, row.message)
		if resp.StatusCode != row.status || !told || a.members["data"] != nil {
			t.Errorf("%s: %d %+v", name, resp.StatusCode, a.Errors)
		}
		if operations, bytes := b.gate.InFlight(); operations != 0 || bytes != 0 {
			t.Errorf("%s: %d operations and %d bytes are in flight", name, operations, bytes)
		}
	}
}
