package transport_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"sibyl/server/transport"
)

const (
	plainType   = "application/json; charset=utf-8"
	graphqlType = "application/graphql-response+json; charset=utf-8"

	bad      = "BAD_REQUEST"
	invalid  = "GRAPHQL_VALIDATION_FAILED"
	tooLarge = "IMAGE_TOO_LARGE"
	internal = "INTERNAL_SERVER_ERROR"
)

func TestNegotiation(t *testing.T) {
	for accept, want := range map[string]string{
		"":                                  plainType,
		"*/*":                               plainType,
		"application/*":                     plainType,
		"application/json":                  plainType,
		"APPLICATION/JSON":                  plainType,
		"application/json;charset=utf-8":    plainType,
		"application/graphql-response+json": graphqlType,
		"application/graphql-response+json; charset=utf-8":                      graphqlType,
		"application/graphql-response+json, application/json;q=0.9":             graphqlType,
		"application/graphql-response+json,application/json":                    graphqlType,
		"application/json,application/graphql-response+json":                    plainType,
		"application/json;q=0.5, application/graphql-response+json":             graphqlType,
		"application/graphql-response+json;q=0.2, application/json;q=0.8":       plainType,
		"application/graphql-response+json;q=0, */*":                            plainType,
		"application/json;q=0, */*;q=0.1":                                       graphqlType,
		"multipart/mixed;deferSpec=20220824, application/graphql-response+json": graphqlType,
		"text/html, application/xhtml+xml, */*;q=0.8":                           plainType,
		"*/*, application/graphql-response+json":                                graphqlType,
		"application/json;q=2, application/graphql-response+json;q=0.1":         graphqlType,
		`application/json;profile="a,b"`:                                        plainType,
		`text/html;x="\",", application/graphql-response+json;q="0.5"`:          graphqlType,
		`text/html;x="\\", application/graphql-response+json`:                   graphqlType,
		`text/html;x=", application/json`:                                       "",
		"text/html":                                                             "",
		"application/json;q=0":                                                  "",
		"application/xml, text/*":                                               "",
		"nonsense; = ,,, \x00;q=z":                                              "",
	} {
		r := query("{ok}")
		if accept != "" {
			r.Header.Set("Accept", accept)
		}
		resp, a := setup(t).do(t, r)
		if want == "" {
			if resp.StatusCode != http.StatusNotAcceptable || a.code() != bad {
				t.Errorf("Accept %q: %d %s", accept, resp.StatusCode, a.code())
			}
			continue
		}
		if got := resp.Header.Get("Content-Type"); got != want || resp.StatusCode != http.StatusOK {
			t.Errorf("Accept %q: %d %s, want %s", accept, resp.StatusCode, got, want)
		}
	}
}

// TestEmptyAcceptHeader is as none is.
func TestEmptyAcceptHeader(t *testing.T) {
	for _, accept := range []string{"", " ", ", ,"} {
		r := query("{ok}")
		r.Header["Accept"] = []string{accept}
		if resp, _ := setup(t).do(t, r); resp.Header.Get("Content-Type") != plainType || resp.StatusCode != http.StatusOK {
			t.Errorf("Accept %q: %d", accept, resp.StatusCode)
		}
	}
}

// TestNoOperationName says what to do where the document has several operations.
func TestNoOperationName(t *testing.T) {
	_, a := setup(t).do(t, query("query A{ok} query B{ok}"))
	if len(a.Errors) != 1 || !strings.Contains(a.Errors[0].Message, "`operationName`") {
		t.Error(a.Errors)
	}
}

func TestSeveralAcceptHeaders(t *testing.T) {
	r := query("{ok}")
	r.Header.Add("Accept", "application/json;q=0.5")
	r.Header.Add("Accept", "application/graphql-response+json")
	resp, _ := setup(t).do(t, r)
	if got := resp.Header.Get("Content-Type"); got != graphqlType {
		t.Error(got)
	}
}

// TestStatuses has a row for each kind of answer: its status under application/json and under
// application/graphql-response+json, its first code, and whether it has data.
func TestStatuses(t *testing.T) {
	for name, row := range map[string]struct {
		body        string
		plain, own  int
		code        string
		withoutData bool
	}{
		"ok":              {body: `{"query":"{ok}"}`, plain: 200, own: 200},
		"unknown members": {body: `{"query":"{ok}","id":7,"QUERY":5}`, plain: 200, own: 200},
		"nulls": {
			body: `{"query":"{ok}","variables":null,"operationName":null,"extensions":null}`, plain: 200, own: 200,
		},
		"named":                 {body: `{"query":"query A{ok} query B{fail}","operationName":"A"}`, plain: 200, own: 200},
		"no body":               {"", 400, 400, bad, true},
		"no JSON":               {`{"query":"{ok}"`, 400, 400, bad, true},
		"JSON and more":         {`{"query":"{ok}"}{}`, 400, 400, bad, true},
		"null":                  {`null`, 400, 400, bad, true},
		"text":                  {`"{ok}"`, 400, 400, bad, true},
		"not UTF-8":             {"{\"query\":\"{ok} #\xff\"}", 400, 400, bad, true},
		"batch":                 {`[{"query":"{ok}"}]`, 400, 400, bad, true},
		"no query":              {`{"qeury":"{ok}"}`, 400, 400, bad, true},
		"empty query":           {`{"query":""}`, 400, 400, bad, true},
		"query of a number":     {`{"query":1}`, 400, 400, bad, true},
		"query of a list":       {`{"query":["{ok}"]}`, 400, 400, bad, true},
		"name of a number":      {`{"query":"{ok}","operationName":1}`, 400, 400, bad, true},
		"variables of a list":   {`{"query":"{ok}","variables":[]}`, 400, 400, bad, true},
		"variables of a text":   {`{"query":"{ok}","variables":"{}"}`, 400, 400, bad, true},
		"extensions of a list":  {`{"query":"{ok}","extensions":[]}`, 400, 400, bad, true},
		"extensions of a truth": {`{"query":"{ok}","extensions":true}`, 400, 400, bad, true},
		"does not parse":        {`{"query":"{"}`, 200, 400, "GRAPHQL_PARSE_FAILED", true},
		"only a comment":        {`{"query":"# nothing"}`, 200, 400, invalid, true},
		"unknown field":         {`{"query":"{no}"}`, 200, 400, invalid, true},
		"unknown operation":     {`{"query":"query A{ok}","operationName":"B"}`, 200, 400, invalid, true},
		"which operation":       {`{"query":"query A{ok} query B{ok}"}`, 200, 400, invalid, true},
		"variable missing":      {`{"query":"query($c:Int!){echo(count:$c)}"}`, 200, 400, invalid, true},
		"variable of wrong type": {
			`{"query":"query($c:Int){echo(count:$c)}","variables":{"c":"x"}}`,
			200, 400, invalid, true,
		},
		"an Upload as text": {
			`{"query":"mutation($f:Upload){upload(file:$f)}","variables":{"f":"x"}}`,
			200, 400, invalid, true,
		},
		"Uploads as numbers": {
			`{"query":"mutation($f:[Upload]){upload(files:$f)}","variables":{"f":[null,1]}}`,
			200, 400, invalid, true,
		},
		"partial":         {`{"query":"{ok fail(code:\"UNAVAILABLE\")}"}`, 200, 200, "UNAVAILABLE", false},
		"partial below":   {`{"query":"{list(code:\"UNAVAILABLE\")}"}`, 200, 200, "UNAVAILABLE", false},
		"failed, 200":     {`{"query":"{fail(code:\"NOT_FOUND\")}"}`, 200, 200, "NOT_FOUND", false},
		"failed, 503":     {`{"query":"{fail(code:\"UNAVAILABLE\")}"}`, 503, 503, "UNAVAILABLE", false},
		"model not ready": {`{"query":"{fail(code:\"MODEL_NOT_READY\")}"}`, 503, 503, "MODEL_NOT_READY", false},
		"overloaded":      {`{"query":"{fail(code:\"OVERLOADED\")}"}`, 503, 503, "OVERLOADED", false},
		"one is done": {
			`{"query":"{a:fail(code:\"UNAVAILABLE\") b:fail(code:\"OVERLOADED\", stored:\"yes\")}"}`,
			200, 200, "UNAVAILABLE", false,
		},
		"overloaded, done": {`{"query":"{fail(code:\"OVERLOADED\", stored:\"yes\")}"}`, 200, 200, "OVERLOADED", false},
		"deadline":         {`{"query":"{fail(code:\"DEADLINE_EXCEEDED\")}"}`, 504, 504, "DEADLINE_EXCEEDED", false},
		"internal":         {`{"query":"{fail(code:\"INTERNAL_SERVER_ERROR\")}"}`, 500, 500, internal, false},
		"all failed": {
			`{"query":"{a:fail(code:\"NOT_FOUND\") b:fail(code:\"UNAVAILABLE\")}"}`,
			503, 503, "NOT_FOUND", false,
		},
		"data null": {`{"query":"{ok must(code:\"UNAVAILABLE\")}"}`, 503, 503, "UNAVAILABLE", false},
		"panic":     {`{"query":"{panic}"}`, 500, 500, internal, true},
	} {
		for accept, status := range map[string]int{plainType: row.plain, graphqlType: row.own} {
			r := post(row.body)
			r.Header.Set("Accept", accept)
			resp, a := setup(t).do(t, r)
			_, data := a.members["data"]
			if resp.StatusCode != status || a.code() != row.code || data == row.withoutData {
				t.Errorf("%s (%s): %d %s, data %t; want %d %s", name, accept, resp.StatusCode, a.code(), data, status, row.code)
			}
			if got := resp.Header.Get("Content-Type"); got != accept {
				t.Errorf("%s: Content-Type %s, want %s", name, got, accept)
			}
			if retry := resp.Header.Get("Retry-After"); (retry != "") != (status == http.StatusServiceUnavailable) {
				t.Errorf("%s: status %d with Retry-After %q", name, status, retry)
			}
		}
	}
}

func TestMethodsAndMediaTypes(t *testing.T) {
	for name, row := range map[string]struct {
		method, contentType string
		status              int
		allow               string
	}{
		"json":               {http.MethodPost, "application/json", 200, ""},
		"charset":            {http.MethodPost, `application/json; charset="UTF-8"`, 200, ""},
		"charset, no hyphen": {http.MethodPost, "application/json; charset=UTF8", 200, ""},
		"capitals":           {http.MethodPost, "Application/JSON", 200, ""},
		"other charset":      {http.MethodPost, "application/json; charset=utf-16", 415, ""},
		"text":               {http.MethodPost, "text/plain", 415, ""},
		"urlencoded":         {http.MethodPost, "application/x-www-form-urlencoded", 415, ""},
		"none":               {http.MethodPost, "", 415, ""},
		"odd":                {http.MethodPost, ";;", 415, ""},
		"odd parameters":     {http.MethodPost, "application/json; charset", 415, ""},
		"graphql":            {http.MethodPost, "application/graphql", 415, ""},
		"PUT":                {http.MethodPut, "application/json", 405, "GET, POST, OPTIONS"},
		"DELETE":             {http.MethodDelete, "", 405, "GET, POST, OPTIONS"},
		"HEAD":               {http.MethodHead, "", 405, "GET, POST, OPTIONS"},
		"OPTIONS":            {http.MethodOptions, "", 204, "GET, POST, OPTIONS"},
		"GET without one":    {http.MethodGet, "", 400, ""},
	} {
		r := query("{ok}")
		r.Method = row.method
		r.Header.Set("Content-Type", row.contentType)
		resp, a := setup(t).do(t, r)
		if resp.StatusCode != row.status || resp.Header.Get("Allow") != row.allow {
			t.Errorf("%s: %d, Allow %q", name, resp.StatusCode, resp.Header.Get("Allow"))
		}
		if resp.StatusCode >= 400 && a.code() != bad {
			t.Errorf("%s: %s", name, a.code())
		}
	}
}

// TestContentEncoding: none is taken, and who sends one is told so.
func TestContentEncoding(t *testing.T) {
	for coding, status := range map[string]int{"": 200, "identity": 200, "Identity": 200, "gzip": 415, "identity, gzip": 415} {
		r := query("{ok}")
		r.Header.Set("Content-Encoding", coding)
		resp, a := setup(t).do(t, r)
		if resp.StatusCode != status || (a.code() == bad) != (status == 415) {
			t.Errorf("%q: %d %s", coding, resp.StatusCode, a.code())
		}
		if taken := resp.Header.Get("Accept-Encoding"); (taken == "identity") != (status == 415) {
			t.Errorf("%q: Accept-Encoding %q", coding, taken)
		}
	}
}

// TestGetOfStranger: the page of another site makes the server do nothing by GET, neither for one answer nor for a stream.
func TestGetOfStranger(t *testing.T) {
	for site, want := range map[string]int{"cross-site": 403, "same-site": 200, "same-origin": 200, "none": 200} {
		r := httptest.NewRequest(http.MethodGet, "/graphql?query={ok}", nil)
		r.Header.Set("Sec-Fetch-Site", site)
		resp, a := setup(t).do(t, r)
		if resp.StatusCode != want || (a.code() == "CSRF_PREVENTION") != (want == 403) {
			t.Errorf("%s: %d %s", site, resp.StatusCode, a.code())
		}
	}
	r := httptest.NewRequest(http.MethodGet, "/graphql?query=subscription{count(to:1)}", nil)
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	r.Header.Set("Accept", "text/event-stream")
	if resp, a := setup(t).do(t, r); resp.StatusCode != 403 || a.code() != "CSRF_PREVENTION" {
		t.Errorf("a stream: %d %s", resp.StatusCode, a.code())
	}
}

func TestGet(t *testing.T) {
	for name, row := range map[string]struct {
		parameters url.Values
		status     int
		code       string
	}{
		"query":             {url.Values{"query": {"{ok}"}}, 200, ""},
		"variables":         {url.Values{"query": {"query($c:Int){echo(count:$c)}"}, "variables": {`{"c":3}`}}, 200, ""},
		"name":              {url.Values{"query": {"query A{ok} query B{ok}"}, "operationName": {"B"}}, 200, ""},
		"null variables":    {url.Values{"query": {"{ok}"}, "variables": {"null"}, "extensions": {""}}, 200, ""},
		"no query":          {url.Values{"query": {""}}, 400, bad},
		"odd variables":     {url.Values{"query": {"{ok}"}, "variables": {"{"}}, 400, bad},
		"more variables":    {url.Values{"query": {"{ok}"}, "variables": {"{}{}"}}, 400, bad},
		"list of variables": {url.Values{"query": {"{ok}"}, "variables": {"[]"}}, 400, bad},
		"odd extensions":    {url.Values{"query": {"{ok}"}, "extensions": {"7"}}, 400, bad},
		"not UTF-8":         {url.Values{"query": {"{ok} #\xff"}}, 400, bad},
		"does not parse":    {url.Values{"query": {"{"}}, 200, "GRAPHQL_PARSE_FAILED"},
	} {
		resp, a := setup(t).do(t, httptest.NewRequest(http.MethodGet, "/graphql?"+row.parameters.Encode(), nil))
		if resp.StatusCode != row.status || a.code() != row.code {
			t.Errorf("%s: %d %s, want %d %s", name, resp.StatusCode, a.code(), row.status, row.code)
		}
	}
}

func TestGetOfMutation(t *testing.T) {
	document := url.QueryEscape("query A{ok} mutation B{upload}")
	resp, a := setup(t).do(t, httptest.NewRequest(http.MethodGet, "/graphql?operationName=B&query="+document, nil))
	if resp.StatusCode != 405 || resp.Header.Get("Allow") != "POST" || a.code() != bad {
		t.Error(resp.StatusCode, resp.Header.Get("Allow"), a.code())
	}
	resp, _ = setup(t).do(t, httptest.NewRequest(http.MethodGet, "/graphql?operationName=A&query="+document, nil))
	if resp.StatusCode != 200 {
		t.Error(resp.StatusCode)
	}
}

func TestOddURL(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/graphql", nil)
	r.URL.RawQuery = "query=%zz"
	if resp, a := setup(t).do(t, r); resp.StatusCode != 400 || a.code() != bad {
		t.Error(resp.StatusCode, a.code())
	}
}

// failingBody fails the test when it is read.
type failingBody struct{ t *testing.T }

func (b failingBody) Read([]byte) (int, error) {
	b.t.Error("the body was read")
	return 0, io.EOF
}

func TestJSONTooLarge(t *testing.T) {
	long := `{"query":"{ok} # ` + strings.Repeat("secret ", 1000) + `"}`
	t.Run("length known", func(t *testing.T) {
		r := post(long)
		r.Body = io.NopCloser(failingBody{t})
		if resp, a := setup(t).do(t, r); resp.StatusCode != 413 || a.code() != bad {
			t.Error(resp.StatusCode, a.code())
		}
	})
	t.Run("chunked", func(t *testing.T) {
		r := post(long)
		r.ContentLength = -1
		resp, a := setup(t).do(t, r)
		if resp.StatusCode != 413 || a.code() != bad || strings.Contains(a.Errors[0].Message, "secret") {
			t.Error(resp.StatusCode, a.Errors)
		}
	})
	t.Run("just fits", func(t *testing.T) {
		r := post(`{"query":"{ok}"}` + strings.Repeat(" ", int(limits.MaxDocumentBytes)-16))
		r.ContentLength = -1
		if resp, a := setup(t).do(t, r); resp.StatusCode != 200 {
			t.Error(resp.StatusCode, a.Errors)
		}
	})
}

func TestNothingIsEchoed(t *testing.T) {
	for _, body := range []string{
		`{"query":"{ok}","secret`, `["secret"]`, `{"variables":"secret"}`, `{"query":{"secret":1}}`,
	} {
		_, a := setup(t).do(t, post(body))
		if len(a.Errors) == 0 || strings.Contains(a.Errors[0].Message, "secret") {
			t.Errorf("%s: %v", body, a.Errors)
		}
	}
	_, a := setup(t).do(t, query("{panic}"))
	if strings.Contains(a.Errors[0].Message, "secret") {
		t.Error(a.Errors)
	}
}

func TestAnswerIsWrittenAsItIs(t *testing.T) {
	w := httptest.NewRecorder()
	setup(t).handler.ServeHTTP(w, query(`{ok echo(text:"<é>",count:3)}`))
	want := `{"data":{"ok":"yes","echo":"\u003cé\u003e3"}}`
	if got := w.Body.String(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for name, value := range map[string]string{"Cache-Control": "no-store", "Vary": "Accept"} {
		if got := w.Header().Get(name); got != value {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func FuzzJSON(f *testing.F) {
	for _, seed := range []string{
		`{"query":"{ok}"}`, `{"query":"query($c:Int){echo(count:$c)}","variables":{"c":1}}`, `[]`, `null`, `{"query":1}`,
		`{"query":"mutation($f:[Upload]){upload(files:$f)}","variables":{"f":["a",[null],{"b":1}]}}`,
		`{"query":"{a:fail b:must list}","operationName":"x","extensions":{}}`, `{"query":"{ok @defer}"}`,
		`{"documentId":"a"}`, `{"extensions":{"persistedQuery":{"version":1,"sha256Hash":"a"}}}`,
	} {
		f.Add([]byte(seed), "application/json")
	}
	f.Add([]byte(`{"query":"{ok}"}`), "*/*;q=0.1, application/graphql-response+json;q=")
	b := setup(f, func(o *transport.Options) {
		o.Recover = func(_ context.Context, v any) error { panic(v) }
	})
	f.Fuzz(func(t *testing.T, body []byte, accept string) {
		if onPurpose(body) {
			t.Skip("these fields do so on purpose")
		}
		r := post(string(body))
		r.Header.Set("Accept", accept)
		b.do(t, r)
	})
}
