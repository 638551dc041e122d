package persistence_test

import (
	"bytes"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"sibyl/persistence"
)

// answerLoser stands between stores and the database, and once loses the answer to what has a certain text in it, with the
// connection.
type answerLoser struct {
	network, address string

	mu   sync.Mutex
	text []byte // guarded by mu; nil: nothing is lost
}

// behindLoser returns the database's URL by way of a new one.
func behindLoser(t *testing.T, database string) (*answerLoser, string) {
	t.Helper()
	config, err := pgx.ParseConfig(database)
	if err != nil {
		t.Fatal(err)
	}
	l := new(answerLoser)
	l.network, l.address = pgconn.NetworkAddress(config.Host, config.Port)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	t.Cleanup(running.Wait)
	t.Cleanup(func() { _ = listener.Close() })
	running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { l.serve(client) })
		}
	})
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword(config.User, config.Password), Host: listener.Addr().String(),
		Path: config.Database, RawQuery: "sslmode=disable",
	}
	return l, u.String()
}

// serve passes on what either side sends, until one has gone.
func (l *answerLoser) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	server, err := net.Dial(l.network, l.address)
	if err != nil {
		return
	}
	answers := make(chan struct{})
	go func() {
		defer close(answers)
		_, _ = io.Copy(client, server)
		_ = client.Close()
	}()
	defer func() { <-answers }()
	defer func() { _ = server.Close() }()
	for buffer := make([]byte, 64<<10); ; {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		if l.loses(buffer[:n]) {
			_ = client.Close() // the answer has nowhere to go
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			return
		}
	}
}

// lose has the answer to the next message lost that has the text in it.
func (l *answerLoser) lose(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = []byte(text)
}

func (l *answerLoser) loses(message []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	lost := l.text != nil && bytes.Contains(message, l.text)
	if lost {
		l.text = nil
	}
	return lost
}

// TestAnswerIsLost: what was committed is acknowledged, and has what the first answer would have said.
func TestAnswerIsLost(t *testing.T) {
	t.Parallel()
	direct, url := setup(t)
	in, _ := record(t, direct) // a 7
	if err := direct.SetLabel(t.Context(), class(in, 7)); err != nil {
		t.Fatal(err)
	}
	loser, url := behindLoser(t, url)
	store := replica(t, url, persistence.Options{})
	for i := range 4 {
		_, p := sample(nil)
		p.InputID = in.ID
		loser.lose(persistence.Announcement(p.ID))
		if err := store.Record(t.Context(), rows(nil, nil, p)); err != nil {
			t.Fatal(err)
		}
		if !p.Labelled || p.Correct == nil || !*p.Correct {
			t.Errorf("prediction %d does not know of its label: %t %v", i, p.Labelled, p.Correct)
		}
		loser.mu.Lock()
		if loser.text != nil {
			t.Error("nothing was lost")
		}
		loser.mu.Unlock()
	}
	list, err := store.Predictions(t.Context(), persistence.PredictionQuery{}, persistence.Page{Limit: 10})
	if err != nil || len(list.Rows) != 5 {
		t.Errorf("%d predictions, %v", len(list.Rows), err)
	}
}
