package transport

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
)

// What a WebSocket reads and writes at a time. net/http's buffers of 4 kB each, which hijackers get, are more than all
// else that an idle subscriber takes on the heap; longer messages go past these.
const (
	readBufferBytes  = 512
	writeBufferBytes = 512
)

// smallBuffers is a ResponseWriter whose connection comes with small buffers when it is hijacked.
type smallBuffers struct {
	http.ResponseWriter
	conn net.Conn // is there when it has been
}

// Hijack takes the connection over.
func (w *smallBuffers) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, large, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	rest, err := large.Reader.Peek(large.Reader.Buffered())
	if err != nil {
		return nil, nil, err
	}
	r := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(rest), conn), max(readBufferBytes, len(rest)))
	// What has come already must be in the buffer: hijackers take it from there, and read the connection themselves.
	if _, err := r.Peek(len(rest)); err != nil {
		return nil, nil, err
	}
	w.conn = conn
	return conn, bufio.NewReadWriter(r, bufio.NewWriterSize(conn, writeBufferBytes)), nil
}
