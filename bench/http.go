package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"
)

// errProtocol is returned where an answer is not HTTP/1.1 as the generator reads it.
var errProtocol = errors.New("not an HTTP/1.1 answer")

// postRequest gives the bytes of a whole request, made once so that sending it costs one write.
func postRequest(host, path, contentType string, headers []string, body []byte) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nAccept: */*\r\n",
		path, host, contentType, len(body))
	for _, header := range headers {
		b.WriteString(header + "\r\n")
	}
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}

// client is one keep-alive connection with one request at a time. It is not safe for concurrent use.
type client struct {
	conn net.Conn
	// buffer holds what was read of the current answer.
	buffer []byte
}

// dial opens a connection that fails whatever it still does at the deadline.
func dial(address string, deadline time.Time) (*client, error) {
	dialer := net.Dialer{Deadline: deadline}
	conn, err := dialer.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	return &client{conn: conn, buffer: make([]byte, 0, 4096)}, conn.SetDeadline(deadline)
}

func (c *client) close() { _ = c.conn.Close() }

// do sends a request and reads its answer. The body is valid until the next call.
func (c *client) do(request []byte) (status int, body []byte, err error) {
	if _, err := c.conn.Write(request); err != nil {
		return 0, nil, err
	}
	c.buffer = c.buffer[:0]
	for {
		if len(c.buffer) == cap(c.buffer) {
			c.buffer = append(c.buffer, 0)[:len(c.buffer)]
		}
		n, err := c.conn.Read(c.buffer[len(c.buffer):cap(c.buffer)])
		c.buffer = c.buffer[:len(c.buffer)+n]
		if n > 0 {
			status, body, complete, err := parseResponse(c.buffer)
			if complete || err != nil {
				return status, body, err
			}
		}
		if err != nil {
			return 0, nil, err
		}
	}
}

// parseResponse reads an answer from its first bytes; complete is false where there are not enough yet. A chunked body
// is put together in place, so b must not be parsed again after a complete answer.
func parseResponse(b []byte) (status int, body []byte, complete bool, err error) {
	end := bytes.Index(b, []byte("\r\n\r\n"))
	if end < 0 {
		return 0, nil, false, nil
	}
	head, rest := b[:end+2], b[end+4:]
	if status, err = parseStatus(head); err != nil {
		return 0, nil, false, err
	}
	if headerValue(head, "transfer-encoding") != nil {
		if !chunksComplete(rest) {
			return status, nil, false, nil
		}
		body, err = joinChunks(rest)
		return status, body, err == nil, err
	}
	length, err := strconv.Atoi(string(headerValue(head, "content-length")))
	switch {
	case err != nil || length < 0 || len(rest) > length:
		return status, nil, false, errProtocol
	case len(rest) < length:
		return status, nil, false, nil
	}
	return status, rest, true, nil
}

// parseStatus reads the number of the line `HTTP/1.1 200 OK`.
func parseStatus(head []byte) (int, error) {
	const prefix = "HTTP/1.1 "
	if len(head) < len(prefix)+3 || string(head[:len(prefix)]) != prefix {
		return 0, errProtocol
	}
	status, err := strconv.Atoi(string(head[len(prefix) : len(prefix)+3]))
	if err != nil {
		return 0, errProtocol
	}
	return status, nil
}

// headerValue finds a header by its name in lower case; nil where there is none.
func headerValue(head []byte, name string) []byte {
	for len(head) > 0 {
		line, rest, _ := bytes.Cut(head, []byte("\r\n"))
		if len(line) > len(name) && line[len(name)] == ':' && bytes.EqualFold(line[:len(name)], []byte(name)) {
			return bytes.TrimSpace(line[len(name)+1:])
		}
		head = rest
	}
	return nil
}

// lastChunk ends a chunked body, after the line end of the chunk before it. No trailers are expected of the servers
// measured.
var lastChunk = []byte("\r\n0\r\n\r\n")

// chunksComplete tells whether a chunked body has ended. As an answer is alone on its connection, it ends what was
// read; that its chunks are whole is checked by joinChunks.
func chunksComplete(b []byte) bool {
	return bytes.HasSuffix(b, lastChunk) || bytes.Equal(b, lastChunk[2:])
}

// joinChunks moves the chunks of a complete body together, to the front of b.
func joinChunks(b []byte) ([]byte, error) {
	body := b[:0]
	for {
		line, rest, found := bytes.Cut(b, []byte("\r\n"))
		size, err := strconv.ParseUint(string(line), 16, 31)
		if !found || err != nil || len(rest) < int(size)+2 {
			return nil, errProtocol
		}
		if size == 0 {
			return body, nil
		}
		body = append(body, rest[:size]...)
		b = rest[size+2:]
	}
}
