package transport_test

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"sibyl/server/transport"
)

const (
	notFound     = "PERSISTED_QUERY_NOT_FOUND"
	notSupported = "PERSISTED_QUERY_NOT_SUPPORTED"
)

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// byHash asks for a document by its SHA-256; with the document itself, where there is one.
func byHash(hash, document string) string {
	o := map[string]any{"extensions": map[string]any{"persistedQuery": map[string]any{"version": 1, "sha256Hash": hash}}}
	if document != "" {
		o["query"] = document
	}
	text, _ := json.Marshal(o)
	return string(text)
}

// urlOf is the URL that asks for what a JSON body asks for.
func urlOf(operation string) string {
	var members map[string]json.RawMessage
	unmarshal([]byte(operation), &members)
	values := url.Values{}
	for name, value := range members {
		text := string(value)
		_ = json.Unmarshal(value, &text) // others than strings are sent as JSON
		values.Set(name, text)
	}
	return "/graphql?" + values.Encode()
}

// event is the first answer of an event stream, or the only one where none was begun.
func (b *bundle) event(r *http.Request) (a answer) {
	r.Header.Set("Accept", "text/event-stream")
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	text := w.Body.String()
	if _, after, begun := strings.Cut(text, "data: "); begun {
		text, _, _ = strings.Cut(after, "\n")
	}
	unmarshal([]byte(text), &a.members)
	unmarshal([]byte(text), &a)
	return a
}

// webSocket opens one, over which operations are asked for.
func (b *bundle) webSocket(t testing.TB) func(operation string) answer {
	c := begin(t, b.listen(t))
	id := 0
	return func(operation string) (a answer) {
		id++
		c.send(fmt.Sprintf(`{"id":"%d","type":"subscribe","payload":%s}`, id, operation))
		for {
			text, err := c.receive()
			if err != nil {
				t.Fatal(err)
			}
			var m struct {
				ID, Type string
				Payload  json.RawMessage
			}
			unmarshal([]byte(text), &m)
			switch {
			case m.ID != strconv.Itoa(id): // the end of the one before
				continue
			case m.Type == "error":
				m.Payload = fmt.Appendf(nil, `{"errors":%s}`, m.Payload)
			}
			unmarshal(m.Payload, &a.members)
			unmarshal(m.Payload, &a)
			return a
		}
	}
}

// ways are those in which operations can be sent.
var ways = map[string]func(testing.TB, *bundle) func(operation string) answer{
	"JSON": func(t testing.TB, b *bundle) func(string) answer {
		return func(operation string) answer {
			_, a := b.do(t, post(operation))
			return a
		}
	},
	"GET": func(t testing.TB, b *bundle) func(string) answer {
		return func(operation string) answer {
			_, a := b.do(t, httptest.NewRequest(http.MethodGet, urlOf(operation), nil))
			return a
		}
	},
	"multipart": func(t testing.TB, b *bundle) func(string) answer {
		return func(operation string) answer {
			_, a := b.do(t, form(t, field("operations", operation), field("map", "{}")))
			return a
		}
	},
	"events": func(_ testing.TB, b *bundle) func(string) answer {
		return func(operation string) answer { return b.event(post(operation)) }
	},
	"events by GET": func(_ testing.TB, b *bundle) func(string) answer {
		return func(operation string) answer {
			return b.event(httptest.NewRequest(http.MethodGet, urlOf(operation), nil))
		}
	},
	"WebSocket": func(t testing.TB, b *bundle) func(string) answer { return b.webSocket(t) },
}

// streams reports whether subscriptions can be sent in this way.
func streams(way string) bool { return way == "WebSocket" || strings.HasPrefix(way, "events") }

// asked is what comes of an operation: data, or the code of the first error.
func asked(a answer) string { return cmp.Or(a.code(), string(a.members["data"])) }

// TestPersistedQueries lets a client send a document once, in every way.
func TestPersistedQueries(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			document, data := "{ok}", `{"ok":"yes"}`
			if streams(name) {
				document, data = "subscription{count(to:1)}", `{"count": 1}`
			}
			ask, hash := way(t, setup(t)), hashOf(document)
			for i, step := range []struct{ operation, want string }{
				{byHash(hash, ""), notFound},
				{byHash(hash, "{ok fail}"), bad},
				{byHash(hash, ""), notFound},
				{byHash(hash, document), data},
				{byHash(hash, ""), data},
				{byHash(hash, document), data},
				{fmt.Sprintf(`{"documentId":"sha256:%s"}`, hash), data},
				{byHash(hash, "{ok fail}"), bad},
				{byHash(strings.ToUpper(hash), ""), notFound},
			} {
				if got := asked(ask(step.operation)); strings.ReplaceAll(got, "\n", " ") != step.want {
					t.Errorf("step %d: %s, want %s", i+1, got, step.want)
				}
			}
		})
	}
}

// TestUnknownDocument has the status of its media type, the message that Apollo Client knows, and is not cached.
func TestUnknownDocument(t *testing.T) {
	operation := byHash(hashOf("{ok}"), "")
	for accept, status := range map[string]int{plainType: 200, graphqlType: 400} {
		for _, r := range []*http.Request{post(operation), httptest.NewRequest(http.MethodGet, urlOf(operation), nil)} {
			r.Header.Set("Accept", accept)
			resp, a := setup(t).do(t, r)
			if resp.StatusCode != status || a.code() != notFound || len(a.Errors) != 1 ||
				a.Errors[0].Message != "PersistedQueryNotFound" || resp.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s: %d %+v %v", r.Method, accept, resp.StatusCode, a.Errors, resp.Header)
			}
		}
	}
}

func TestOddIdentifiers(t *testing.T) {
	hash := hashOf("{ok}")
	for _, body := range []string{
		`{"extensions":{"persistedQuery":7}}`,
		`{"extensions":{"persistedQuery":true}}`,
		`{"extensions":{"persistedQuery":"` + hash + `"}}`,
		`{"extensions":{"persistedQuery":[]}}`,
		`{"extensions":{"persistedQuery":{}}}`,
		`{"extensions":{"persistedQuery":null}}`,
		`{"extensions":{"persistedQuery":{"version":1}}}`,
		`{"extensions":{"persistedQuery":{"version":1,"sha256Hash":null}}}`,
		`{"extensions":{"persistedQuery":{"version":1,"sha256Hash":""}}}`,
		`{"extensions":{"persistedQuery":{"version":1,"sha256Hash":7}}}`,
		`{"extensions":{"persistedQuery":{"version":1,"sha256Hash":["` + hash + `"]}}}`,
		`{"extensions":{"persistedQuery":{"sha256Hash":"` + hash + `"}}}`,
		`{"extensions":{"persistedQuery":{"version":null,"sha256Hash":"` + hash + `"}}}`,
		`{"extensions":{"persistedQuery":{"version":2,"sha256Hash":"` + hash + `"}}}`,
		`{"extensions":{"persistedQuery":{"version":"1","sha256Hash":"` + hash + `"}}}`,
		`{"extensions":{"persistedQuery":{"version":[1],"sha256Hash":"` + hash + `"}}}`,
		`{"query":"{ok}","extensions":{"persistedQuery":{"version":2,"sha256Hash":"` + hash + `"}}}`,
		`{"query":"{ok}","extensions":{"persistedQuery":{"version":1,"sha256Hash":"ok"}}}`,
		`{"query":"{ok}","extensions":{"persistedQuery":[]}}`,
		`{"query":"{ok}","documentId":"ok"}`,
		`{"documentId":"ok","extensions":{"persistedQuery":{"version":1,"sha256Hash":"` + hash + `"}}}`,
		`{"documentId":""}`,
		`{"documentId":null}`,
		`{"documentId":7}`,
		`{"documentId":["ok"]}`,
		`{"documentId":{}}`,
	} {
		if resp, a := setup(t).do(t, post(body)); resp.StatusCode != 400 || a.code() != bad {
			t.Errorf("%s: %d %s", body, resp.StatusCode, asked(a))
		}
	}
	for _, body := range []string{
		`{"query":"{ok}","extensions":{"persistedQuery":null}}`, `{"query":"{ok}","documentId":null}`,
		`{"query":"{ok}","documentId":""}`,
	} {
		if _, a := setup(t).do(t, post(body)); a.code() != "" {
			t.Errorf("%s: %s", body, asked(a))
		}
	}
}

// TestOnlyValidDocumentsAreKept, whatever their variables are.
func TestOnlyValidDocumentsAreKept(t *testing.T) {
	for document, row := range map[string]struct{ first, then string }{
		"{":                                {"GRAPHQL_PARSE_FAILED", notFound},
		"{no}":                             {invalid, notFound},
		"fragment F on Query{ok}":          {invalid, notFound},
		"{fail}":                           {"NOT_FOUND", "NOT_FOUND"},
		"query($c:Int!){echo(count:$c)}":   {invalid, invalid},
		"query A{ok} query B{ok} # A or B": {invalid, invalid},
	} {
		b := setup(t)
		for i, step := range []struct{ operation, want string }{
			{byHash(hashOf(document), document), row.first}, {byHash(hashOf(document), ""), row.then},
		} {
			if _, a := b.do(t, post(step.operation)); a.code() != step.want {
				t.Errorf("%s: step %d: %s, want %s", document, i+1, asked(a), step.want)
			}
		}
	}
}

// TestPersistedMutationByURL is refused like any.
func TestPersistedMutationByURL(t *testing.T) {
	b, hash := setup(t), hashOf("mutation{upload}")
	if _, a := b.do(t, post(byHash(hash, "mutation{upload}"))); a.code() != "" {
		t.Fatal(asked(a))
	}
	resp, a := b.do(t, httptest.NewRequest(http.MethodGet, urlOf(byHash(hash, "")), nil))
	if resp.StatusCode != 405 || resp.Header.Get("Allow") != "POST" || a.code() != bad {
		t.Error(resp.StatusCode, resp.Header.Get("Allow"), asked(a))
	}
	if _, a := b.do(t, post(byHash(hash, ""))); a.code() != "" {
		t.Error(asked(a))
	}
}

// TestPersistedUpload has its document in a part of a form, which is named by it.
func TestPersistedUpload(t *testing.T) {
	const document = "mutation($f:Upload){upload(file:$f)}"
	b := setup(t)
	for i, text := range []string{document, ""} {
		operation := strings.TrimSuffix(byHash(hashOf(document), text), "}") + `,"variables":{"f":null}}`
		_, a := b.do(t, form(t, field("operations", operation), field("map", `{"a":["variables.f"]}`), file("a", "abc")))
		if got := upload(a); got != "a.png:3" {
			t.Errorf("%d: %q %s", i, got, asked(a))
		}
	}
}

// padded is a valid document of so many bytes.
func padded(name string, bytes int) string {
	document := "query " + name + "{ok} #"
	return document + strings.Repeat(" ", bytes-len(document))
}

func TestPersistedQueriesAreBounded(t *testing.T) {
	const kilobyte = 1 << 10
	large := func(sent int) *bundle {
		return setup(t, func(o *transport.Options) {
			o.Documents, o.MaxDocumentBytes = transport.NewDocuments(nil, false, sent), 99*kilobyte
		})
	}
	keep := func(b *bundle, document string) {
		if _, a := b.do(t, post(byHash(hashOf(document), document))); a.code() != "" {
			t.Fatal(asked(a))
		}
	}
	kept := func(b *bundle, document string) bool {
		_, a := b.do(t, post(byHash(hashOf(document), "")))
		return a.code() == ""
	}
	t.Run("in number", func(t *testing.T) {
		b := large(2)
		keep(b, "{ok}")
		keep(b, "{a:ok}")
		keep(b, "{ok}")
		keep(b, "{b:ok}")
		if kept(b, "{a:ok}") || !kept(b, "{ok}") || !kept(b, "{b:ok}") {
			t.Error("the one that was not used for longest must go")
		}
	})
	t.Run("in bytes", func(t *testing.T) {
		b := large(3) // 24 KiB
		a, c, d := padded("A", 10*kilobyte), padded("C", 10*kilobyte), padded("D", 10*kilobyte)
		for range 3 { // the same one again takes no more
			keep(b, a)
		}
		keep(b, c)
		if !kept(b, a) || !kept(b, c) {
			t.Error("there is room for two")
		}
		keep(b, padded("E", 24*kilobyte+1))
		if !kept(b, a) || !kept(b, c) || kept(b, padded("E", 24*kilobyte+1)) {
			t.Error("one for which there will never be room must change nothing")
		}
		keep(b, d)
		if kept(b, a) || !kept(b, c) || !kept(b, d) {
			t.Error("the one that was not used for longest must go")
		}
		keep(b, padded("F", 24*kilobyte))
		if kept(b, c) || kept(b, d) || !kept(b, padded("F", 24*kilobyte)) {
			t.Error("one that fits must be kept, whatever has to go")
		}
	})
}

// TestPersistedQueriesOff is told in the words that let Apollo Client send no more hashes.
func TestPersistedQueriesOff(t *testing.T) {
	b := setup(t, func(o *transport.Options) { o.Documents = transport.NewDocuments(nil, false, 0) })
	hash := hashOf("{ok}")
	for _, operation := range []string{byHash(hash, ""), `{"documentId":"ok"}`} {
		_, a := b.do(t, post(operation))
		if a.code() != notSupported || a.Errors[0].Message != "PersistedQueryNotSupported" {
			t.Errorf("%s: %+v", operation, a.Errors)
		}
	}
	for operation, code := range map[string]string{
		byHash(hash, "{ok}"): "", byHash(hash, "{fail}"): bad, `{"query":"{ok}"}`: "",
	} {
		if _, a := b.do(t, post(operation)); a.code() != code {
			t.Errorf("%s: %s", operation, asked(a))
		}
	}
	if _, a := b.do(t, post(byHash(hash, ""))); a.code() != notSupported {
		t.Errorf("it was kept: %s", asked(a))
	}
}

// trusted are documents as files have them: with a line break at the end.
func trusted(t testing.TB) transport.Trusted {
	t.Helper()
	all := make(transport.Trusted)
	for name, text := range map[string]string{
		"ok": "{ok}\n", "two": "query A{ok} query B{fail}\r\n", "count": "subscription{count(to:1)}\n",
		"change": "mutation{upload}\n",
	} {
		if err := all.Add(name, text); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// TestTrustedDocuments are there from the start, by each of their identifiers and in every way.
func TestTrustedDocuments(t *testing.T) {
	for name, way := range ways {
		document, text, data := "ok", "{ok}", `{"ok":"yes"}`
		if streams(name) {
			document, text, data = "count", "subscription{count(to:1)}", `{"count": 1}`
		}
		ask := way(t, setup(t, func(o *transport.Options) {
			o.Documents = transport.NewDocuments(trusted(t), false, 0)
		}))
		for operation, want := range map[string]string{
			byHash(hashOf(text), ""):      data,
			byHash(hashOf(text+"\n"), ""): data,
			byHash(document, ""):          notFound,
			byHash(hashOf("other"), ""):   notFound,
			`{"documentId":"other"}`:      notFound,
			`{"documentId":"sha256:ok"}`:  notFound,
			`{"query":"{a:ok}"}`:          `{"a":"yes"}`,
		} {
			if got := asked(ask(operation)); strings.ReplaceAll(got, "\n", " ") != want {
				t.Errorf("%s: %s: %s, want %s", name, operation, got, want)
			}
		}
		for _, id := range []string{
			document, hashOf(text), hashOf(text + "\n"), "sha256:" + hashOf(text), "sha256:" + hashOf(text+"\n"),
		} {
			got := asked(ask(fmt.Sprintf(`{"documentId":%q}`, id)))
			if strings.ReplaceAll(got, "\n", " ") != data {
				t.Errorf("%s: %s: %s, want %s", name, id, got, data)
			}
		}
	}
}

func TestOperationOfTrustedDocument(t *testing.T) {
	b := setup(t, func(o *transport.Options) { o.Documents = transport.NewDocuments(trusted(t), true, 2) })
	for operation, code := range map[string]string{
		`{"documentId":"two","operationName":"A"}`: "",
		`{"documentId":"two","operationName":"B"}`: "NOT_FOUND",
		`{"documentId":"two","operationName":"C"}`: invalid,
		`{"documentId":"two"}`:                     invalid,
	} {
		if _, a := b.do(t, post(operation)); a.code() != code {
			t.Errorf("%s: %s", operation, asked(a))
		}
	}
	resp, _ := b.do(t, httptest.NewRequest(http.MethodGet, "/graphql?documentId=change", nil))
	if resp.StatusCode != 405 || resp.Header.Get("Allow") != "POST" {
		t.Error(resp.StatusCode)
	}
}

// TestTrustedOnly refuses what is no trusted document, in every way, and runs those also where their text is sent.
func TestTrustedOnly(t *testing.T) {
	for name, way := range ways {
		ask := way(t, setup(t, func(o *transport.Options) {
			o.Documents = transport.NewDocuments(trusted(t), true, 2)
		}))
		other := hashOf("{a:ok}")
		for _, step := range []struct{ operation, want string }{
			{`{"query":"{a:ok}"}`, bad},
			{`{"query":"{__schema{queryType{name}}}"}`, bad},
			{byHash(other, ""), notFound},
			{byHash(other, "{a:ok}"), bad},
			{byHash(other, ""), notFound},
			{`{"documentId":"sha256:` + other + `"}`, notFound},
			{`{"query":"{ok}"}`, `{"ok":"yes"}`},
			{byHash(hashOf("{ok}"), "{ok}"), `{"ok":"yes"}`},
			{`{"documentId":"ok"}`, `{"ok":"yes"}`},
		} {
			if got := asked(ask(step.operation)); strings.ReplaceAll(got, ": ", ":") != step.want {
				t.Errorf("%s: %s: %s, want %s", name, step.operation, got, step.want)
			}
		}
	}
	b := setup(t, func(o *transport.Options) { o.Documents = transport.NewDocuments(trusted(t), true, 2) })
	if resp, a := b.do(t, query("{a:ok}")); resp.StatusCode != 400 || !strings.Contains(a.Errors[0].Message, "trusted") {
		t.Error(resp.StatusCode, a.Errors)
	}
}

func TestNamesOfTrustedDocuments(t *testing.T) {
	for _, name := range []string{"a", "Latest_2.v1-x~", hashOf("{ok}"), hashOf("{ok}\n"), hashOf("{ok}")[1:]} {
		if err := make(transport.Trusted).Add(name, "{ok}\n"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"", "a b", "sha256:a", "ä", "a\n", hashOf("{fail}"), strings.ToUpper(hashOf("{ok}"))} {
		if err := make(transport.Trusted).Add(name, "{ok}\n"); err == nil {
			t.Errorf("%q is taken", name)
		}
	}
}
