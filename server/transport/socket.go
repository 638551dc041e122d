package transport

import (
	"net"
	"time"

	"github.com/coder/websocket"
)

// closeTimeout is how long a client may take to close a WebSocket in its turn.
const closeTimeout = 5 * time.Second

// socket is a WebSocket with the connection below it. The library alone waits without end for the rest of a frame, when it
// closes, and who would cut it off then waits for that.
type socket struct {
	*websocket.Conn
	below net.Conn
}

// close ends it in order, unless the client takes too long for that.
func (s *socket) close(code websocket.StatusCode, reason string) {
	_ = s.below.SetReadDeadline(time.Now().Add(closeTimeout))
	_ = s.Close(code, reason)
}

// abort ends it at once.
func (s *socket) abort() {
	_ = s.below.Close()
	_ = s.CloseNow()
}
