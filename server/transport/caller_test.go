package transport_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"sibyl/graph"
	"sibyl/server/transport"
)

// keys are those of a test, by the callers' names.
type keys struct {
	mu    sync.Mutex
	roles map[string][]graph.Role // guarded by mu
}

// set gives the key other roles, or with none takes it away.
func (k *keys) set(name string, roles ...graph.Role) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.roles[name] = roles; len(roles) == 0 {
		delete(k.roles, name)
	}
}

func (k *keys) find(name string) *graph.Caller {
	k.mu.Lock()
	defer k.mu.Unlock()
	roles, found := k.roles[name]
	if !found {
		return nil
	}
	return &graph.Caller{Name: name, Roles: roles}
}

// use lets callers be those of the keys, by a header or a member of the payload that is named for it.
func (k *keys) use(o *transport.Options) {
	o.Renew = func(caller *graph.Caller) *graph.Caller { return k.find(caller.Name) }
	o.Authenticate = func(ctx context.Context, h http.Header, payload map[string]any) (context.Context, error) {
		name, _ := payload["key"].(string)
		if caller := k.find(h.Get("Key") + name); caller != nil {
			return graph.WithCaller(ctx, caller), nil
		}
		return ctx, &graph.Error{Code: graph.CodeUnauthenticated, Message: "who are you?"}
	}
	o.Streams, o.Timeout = transport.NewStreams(20, time.Hour), time.Hour
}

// beginAs opens a WebSocket with a key.
func beginAs(t testing.TB, url, name string) *client {
	t.Helper()
	c := dial(t, url, websocket.DialOptions{})
	c.send(`{"type":"connection_init","payload":{"key":"` + name + `"}}`)
	c.want(`{"type":"connection_ack"}`)
	return c
}

// TestKeyTakenAway ends all that lasts by it, and nothing of others.
func TestKeyTakenAway(t *testing.T) {
	k := &keys{roles: map[string][]graph.Role{"gone": {graph.RoleReader}, "stays": {graph.RoleReader}}}
	b := setup(t, k.use)
	url := b.listen(t)
	var gone, stay []*client
	for _, document := range []string{"subscription{never}", "subscription{idle}", "{slow}", ""} {
		for _, row := range []struct {
			name    string
			clients *[]*client
		}{{"gone", &gone}, {"stays", &stay}} {
			c := beginAs(t, url, row.name)
			if document != "" {
				c.subscribe("1", document)
				<-b.fields.entered
			}
			*row.clients = append(*row.clients, c)
		}
	}
	events := map[string]<-chan string{}
	for _, name := range []string{"gone", "stays"} {
		_, events[name] = openEvents(t, url, "subscription{idle}", "Key", name)
		<-b.fields.entered
	}
	k.set("gone")
	b.streams.Recheck()
	for _, c := range gone {
		c.wantClosed(4403)
	}
	if got := <-events["gone"]; !strings.Contains(got, `"code":"UNAUTHENTICATED"`) {
		t.Errorf("the event stream: %q", got)
	}
	if got := <-events["gone"]; got != "event: complete\ndata:" {
		t.Errorf("the event stream: %q", got)
	}
	for _, c := range stay {
		c.subscribe("2", "{ok}")
		c.want(`{"type":"next","id":"2","payload":{"data":{"ok":"yes"}}}`)
		c.want(`{"type":"complete","id":"2"}`)
	}
	eventually(t, "those of the other key are open", func() bool { return b.streams.Count() == len(stay)+1 })
	c := dial(t, url, websocket.DialOptions{})
	c.send(`{"type":"connection_init","payload":{"key":"gone"}}`)
	c.wantClosed(4403)
}

// TestRoleTakenAway ends what needs it, and lets the rest go on, with the roles of now.
func TestRoleTakenAway(t *testing.T) {
	k := &keys{roles: map[string][]graph.Role{"a": {graph.RoleReader, graph.RolePredictor}}}
	b := setup(t, k.use)
	url := b.listen(t)
	c := beginAs(t, url, "a")
	for id, document := range map[string]string{"needs": "subscription{never}", "not": "subscription{idle}"} {
		c.subscribe(id, document)
		<-b.fields.entered
	}
	_, needs := openEvents(t, url, "subscription{never}", "Key", "a")
	<-b.fields.entered
	k.set("a", graph.RolePredictor)
	b.streams.Recheck()
	c.wantError("needs", "FORBIDDEN")
	if got := <-needs; !strings.Contains(got, `"code":"FORBIDDEN"`) {
		t.Errorf("the event stream: %q", got)
	}
	if got := <-needs; got != "event: complete\ndata:" {
		t.Errorf("the event stream: %q", got)
	}
	c.subscribe("who", "{caller}")
	c.want(`{"type":"next","id":"who","payload":{"data":{"caller":"a [PREDICTOR]"}}}`)
	c.want(`{"type":"complete","id":"who"}`)
	c.subscribe("again", "subscription{never}")
	c.wantError("again", "FORBIDDEN")
	c.send(`{"type":"complete","id":"not"}`)
	c.subscribe("not", "{ok}") // the ID was in use until now
	c.want(`{"type":"next","id":"not","payload":{"data":{"ok":"yes"}}}`)
}

// TestKeyTakenAwayBeforeAnybodyIsTold: a stream that is not yet among those that are told looks for itself.
func TestKeyTakenAwayBeforeAnybodyIsTold(t *testing.T) {
	k := &keys{roles: map[string][]graph.Role{}}
	b := setup(t, k.use, func(o *transport.Options) {
		authenticate := o.Authenticate
		o.Authenticate = func(ctx context.Context, h http.Header, payload map[string]any) (context.Context, error) {
			k.set("a", graph.RoleReader)
			ctx, err := authenticate(ctx, h, payload)
			k.set("a")
			return ctx, err
		}
	})
	url := b.listen(t)
	c := dial(t, url, websocket.DialOptions{})
	c.send(`{"type":"connection_init","payload":{"key":"a"}}`)
	c.wantClosed(4403)
	response, _ := openEvents(t, url, "subscription{never}", "Key", "a")
	if response.StatusCode != http.StatusUnauthorized {
		t.Error(response.Status)
	}
}
