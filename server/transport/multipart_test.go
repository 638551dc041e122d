package transport_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"sibyl/server/transport"
)

const (
	oneFile   = `{"query":"mutation($f:Upload){upload(file:$f)}","variables":{"f":null}}`
	manyFiles = `{"query":"mutation($f:[Upload]){upload(files:$f)}","variables":{"f":[null,null]}}`
)

// part is one part of a form; a file where it has a filename.
type part struct{ name, filename, content string }

func form(t testing.TB, parts ...part) *http.Request {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, p := range parts {
		var err error
		var to io.Writer
		if p.filename != "" {
			to, err = w.CreateFormFile(p.name, p.filename)
		} else {
			to, err = w.CreateFormField(p.name)
		}
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(to, p.content)
	}
	_ = w.Close()
	r := httptest.NewRequest(http.MethodPost, "/graphql", &body)
	r.Header.Set("Content-Type", w.FormDataContentType())
	r.Header.Set("GraphQL-Require-Preflight", "1")
	return r
}

// rawForm is a form with the boundary b as it goes over the wire.
func rawForm(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(body))
	r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
	r.Header.Set("Apollo-Require-Preflight", "1")
	return r
}

func field(name, content string) part { return part{name: name, content: content} }
func file(name, content string) part {
	return part{name: name, filename: name + ".png", content: content}
}

// upload is what the field of that name answered.
func upload(a answer) string {
	var data struct{ Upload string }
	unmarshal(a.members["data"], &data)
	return data.Upload
}

func TestMultipart(t *testing.T) {
	const none = "" // no answer of the field
	big := strings.Repeat("x", int(limits.MaxUploadBytes)+1)
	for name, row := range map[string]struct {
		parts  []part
		status int
		code   string
		upload string
	}{
		"a file": {
			[]part{field("operations", oneFile), field("map", `{"0":["variables.f"]}`), file("0", "abc")}, 200, "", "0.png:3",
		},
		"in a list": {
			[]part{
				field("operations", manyFiles), field("map", `{"a":["variables.f.0"],"b":["variables.f.1"]}`),
				file("a", "abc"), file("b", ""),
			}, 200, "", "[a.png:3,b.png:0]",
		},
		"one file in two places": {
			[]part{field("operations", manyFiles), field("map", `{"a":["variables.f.0","variables.f.1"]}`), file("a", "abc")},
			200, "", "[a.png:3,a.png:3]",
		},
		"files first": {
			[]part{file("0", "abc"), field("map", `{"0":["variables.f"]}`), field("operations", oneFile)}, 200, "", "0.png:3",
		},
		"no filename": {
			[]part{field("operations", oneFile), field("map", `{"0":["variables.f"]}`), field("0", "abc")}, 200, "", ":3",
		},
		"no file at all": {[]part{field("operations", oneFile), field("map", `{}`)}, 200, "", ""},
		"a file that is not in the map": {
			[]part{field("operations", oneFile), field("map", `{"0":["variables.f"]}`), file("0", "abc"), file("1", "abcd")},
			200, "", "0.png:3",
		},
		"as large as may be": {
			[]part{field("operations", oneFile), field("map", `{"0":["variables.f"]}`), file("0", big[1:])},
			200, "", "0.png:3000",
		},
		"too large alone": {
			[]part{
				field("operations", manyFiles), field("map", `{"a":["variables.f.0"],"b":["variables.f.1"]}`),
				file("a", big), file("b", "abc"),
			}, 200, "", "[The file is larger than 3000 bytes.,b.png:3]",
		},
		"too large together": {
			[]part{
				field("operations", oneFile), field("map", `{}`), file("a", big), file("b", big), file("c", big), file("d", big),
			}, 413, tooLarge, none,
		},
		"too many files": {
			[]part{
				field("operations", oneFile), field("map", `{}`), file("a", ""), file("b", ""), file("c", ""), file("d", ""),
				file("e", ""),
			}, 413, bad, none,
		},
		"too many places": {
			[]part{
				field("operations", strings.Replace(manyFiles, "null,", "null,null,null,null,", 1)),
				field("map", `{"a":["variables.f.0","variables.f.1","variables.f.2","variables.f.3","variables.f.4"]}`),
				file("a", "abc"),
			}, 413, bad, none,
		},
		"operations too large": {[]part{field("operations", strings.Repeat(" ", 1001))}, 413, bad, none},
		"map too large": {
			[]part{field("operations", oneFile), field("map", strings.Repeat(" ", 1001))}, 413, bad, none,
		},
		"no parts":             {nil, 400, bad, none},
		"no operations":        {[]part{field("map", `{"0":["variables.f"]}`), file("0", "abc")}, 400, bad, none},
		"operations no JSON":   {[]part{field("operations", "{"), field("map", `{}`)}, 400, bad, none},
		"batch":                {[]part{field("operations", "["+oneFile+"]"), field("map", `{}`)}, 400, bad, none},
		"map no JSON":          {[]part{field("operations", oneFile), field("map", `{`)}, 400, bad, none},
		"map null":             {[]part{field("operations", oneFile), field("map", `null`)}, 400, bad, none},
		"map of texts":         {[]part{field("operations", oneFile), field("map", `{"0":"variables.f"}`)}, 400, bad, none},
		"map of nulls":         {[]part{field("operations", oneFile), field("map", `{"0":[null]}`)}, 400, bad, none},
		"map of lists":         {[]part{field("operations", oneFile), field("map", `{"0":[["variables.f"]]}`)}, 400, bad, none},
		"map lists no place":   {[]part{field("operations", oneFile), field("map", `{"0":[]}`)}, 400, bad, none},
		"part without a name":  {[]part{field("operations", oneFile), field("map", `{}`), field("", "")}, 400, bad, none},
		"operations twice":     {[]part{field("operations", oneFile), field("operations", oneFile)}, 400, bad, none},
		"map twice":            {[]part{field("map", "{}"), field("map", "{}")}, 400, bad, none},
		"a file of that name":  {[]part{file("0", "abc"), file("0", "abc")}, 400, bad, none},
		"a file is missing":    {[]part{field("operations", oneFile), field("map", `{"0":["variables.f"]}`)}, 400, bad, none},
		"validation fails too": {[]part{field("operations", `{"query":"{no}"}`), field("map", `{}`)}, 200, invalid, none},
		"two files for one place": {
			[]part{
				field("operations", oneFile), field("map", `{"0":["variables.f"],"1":["variables.f"]}`), file("0", "a"),
				file("1", "b"),
			}, 400, bad, none,
		},
		"one file twice for one place": {
			[]part{field("operations", oneFile), field("map", `{"0":["variables.f","variables.f"]}`), file("0", "a")},
			400, bad, none,
		},
		"a file for an Int": {
			[]part{
				field("operations", `{"query":"query($c:Int){echo(count:$c)}","variables":{"c":null}}`),
				field("map", `{"0":["variables.c"]}`), file("0", "a"),
			}, 200, invalid, none,
		},
	} {
		resp, a := setup(t).do(t, form(t, row.parts...))
		if resp.StatusCode != row.status || a.code() != row.code || upload(a) != row.upload {
			t.Errorf("%s: %d %v %q; want %+v", name, resp.StatusCode, a.Errors, upload(a), row)
		}
	}
}

// TestSameFormAgain sends the same texts with other files, of which none may be found in the answer to another form.
func TestSameFormAgain(t *testing.T) {
	b := setup(t)
	places := field("map", `{"b":["variables.f.1"],"a":["variables.f.0"]}`)
	for size := range 4 {
		content := strings.Repeat("x", size)
		want := fmt.Sprintf("[a.png:%d,b.png:3]", size)
		resp, a := b.do(t, form(t, field("operations", manyFiles), places, file("a", content), file("b", "abc")))
		if got := upload(a); resp.StatusCode != http.StatusOK || got != want {
			t.Errorf("%d: %d %s, want %s", size, resp.StatusCode, got, want)
		}
		if resp, _ := b.do(t, form(t, field("operations", manyFiles), places, file("a", content))); resp.StatusCode != 400 {
			t.Errorf("a file less: %d", resp.StatusCode)
		}
		_, a = b.do(t, form(t, field("operations", manyFiles), field("map", "{}")))
		if got := upload(a); got != "[,]" {
			t.Errorf("no file: %s", got)
		}
	}
}

// TestManyFiles has each file in its place, and none twice.
func TestManyFiles(t *testing.T) {
	const most = 30
	b := setup(t, func(o *transport.Options) { o.MaxUploadFiles = most })
	var names, want []string
	files := []part{{}}
	for i := range most {
		name := fmt.Sprint("f", i)
		names, want = append(names, `"`+name+`"`), append(want, fmt.Sprintf("%s.png:%d", name, i))
		files = append(files, file(name, strings.Repeat("x", i)))
	}
	files[0] = field("operations", strings.Replace(manyFiles, "null,null", strings.Join(names, ","), 1))
	_, a := b.do(t, form(t, files...))
	if got := upload(a); got != "["+strings.Join(want, ",")+"]" {
		t.Error(got)
	}
	for _, name := range []string{"f0", "f29"} {
		if resp, a := b.do(t, form(t, append(files, file(name, ""))...)); resp.StatusCode != 400 || a.code() != bad {
			t.Errorf("%s twice: %d %s", name, resp.StatusCode, a.code())
		}
	}
	files[0] = field("operations", strings.Replace(manyFiles, "null,null", `"f30"`, 1))
	if resp, a := b.do(t, form(t, files...)); resp.StatusCode != 400 || a.code() != bad {
		t.Errorf("a file that has not come: %d %s", resp.StatusCode, a.code())
	}
}

// TestMapPaths has every odd path that made gqlgen's own transport panic, and some more.
func TestMapPaths(t *testing.T) {
	for _, row := range []struct{ variables, path string }{
		{`{"f":[]}`, "variables.f.0"},
		{`{"f":[null]}`, "variables.f.-1"},
		{`{"f":[null]}`, "variables.f.1"},
		{`{"f":[null]}`, "variables.f.+0"},
		{`{"f":[null]}`, "variables.f.00"},
		{`{"f":[null]}`, "variables.f.99999999"},
		{`{"f":[null]}`, "variables.f.99999999999999999999999"},
		{`{"f":[null]}`, "variables.f.x"},
		{`{"f":[null]}`, "variables.f."},
		{`{"f":[null]}`, "variables.f"},
		{`{"f":[null]}`, "variables.f.0.0"},
		{`{"f":"text"}`, "variables.f"},
		{`{"f":"text"}`, "variables.f.0"},
		{`{"f":7}`, "variables.f.x.y"},
		{`{"f":false}`, "variables.f"},
		{`{"f":null}`, "variables.f.0"},
		{`{"f":null}`, "variables.f.g"},
		{`{"f":null}`, "variables.g"},
		{`{"f":null}`, "variables"},
		{`{"f":null}`, "variables."},
		{`{"f":null}`, "f"},
		{`{"f":null}`, ""},
		{`{"f":null}`, "."},
		{`{"f":null}`, "0.variables.f"},
		{`{"f":null}`, "query"},
		{`{"f":null}`, "Variables.f"},
		{`null`, "variables.f"},
	} {
		operations := `{"query":"mutation($f:[Upload]){upload(files:$f)}","variables":` + row.variables + `}`
		paths := fmt.Sprintf(`{"0":[%q]}`, row.path)
		resp, a := setup(t).do(t, form(t, field("operations", operations), field("map", paths), file("0", "abc")))
		if resp.StatusCode != 400 || a.code() != bad {
			t.Errorf("%s in %s: %d %s", row.path, row.variables, resp.StatusCode, a.code())
		}
	}
}

// TestMultipartWithoutMap is the third version of the specification: variables name the parts.
func TestMultipartWithoutMap(t *testing.T) {
	const list = `mutation($f:[Upload]){upload(files:$f)}`
	for name, row := range map[string]struct {
		query, variables string
		status           int
		code, upload     string
	}{
		"a file":           {`mutation($f:Upload){upload(file:$f)}`, `"a"`, 200, "", "a.png:1"},
		"a list":           {list, `["b",null,"a"]`, 200, "", "[b.png:2,,a.png:1]"},
		"one in two":       {list, `["a","a"]`, 200, "", "[a.png:1,a.png:1]"},
		"no list":          {list, `"a"`, 200, "", "[a.png:1]"},
		"null":             {list, `null`, 400, bad, ""},
		"nulls":            {list, `[null,null]`, 400, bad, ""},
		"an empty list":    {list, `[]`, 200, "", "[]"},
		"missing":          {list, `["c"]`, 400, bad, ""},
		"a number":         {list, `[1]`, 200, invalid, ""},
		"an object":        {list, `[{"a":"a"}]`, 200, invalid, ""},
		"too many places":  {list, `["a","a","a","a","a"]`, 413, bad, ""},
		"no Upload at all": {`query($f:String){echo(text:$f)}`, `"a"`, 200, "", ""},
	} {
		operations := fmt.Sprintf(`{"query":%q,"variables":{"f":%s}}`, row.query, row.variables)
		resp, a := setup(t).do(t, form(t, field("operations", operations), file("a", "x"), file("b", "yz")))
		if resp.StatusCode != row.status || a.code() != row.code || upload(a) != row.upload {
			t.Errorf("%s: %d %v %q", name, resp.StatusCode, a.Errors, upload(a))
		}
	}
}

// TestEncodedPartName: a part has the name that its client has in the map, and as a variable, and not the name on the way.
func TestEncodedPartName(t *testing.T) {
	const sent = "--b\r\nContent-Disposition: form-data; name=\"%s\"\r\n\r\n%s\r\n"
	for encoded, name := range map[string]string{"a%22": `a\"`, `a\"`: `a\"`, "%0D%0A%25": `\r\n%25`, "*%0D": `*\r`} {
		file := fmt.Sprintf(sent, encoded, "x")
		for how, parts := range map[string]string{
			"map":      fmt.Sprintf(sent, "operations", oneFile) + fmt.Sprintf(sent, "map", `{"`+name+`":["variables.f"]}`),
			"variable": fmt.Sprintf(sent, "operations", strings.Replace(oneFile, "null", `"`+name+`"`, 1)),
		} {
			if _, a := setup(t).do(t, rawForm(parts+file+"--b--\r\n")); upload(a) != ":1" {
				t.Errorf("%s in a %s: %q %v", encoded, how, upload(a), a.Errors)
			}
		}
	}
}

// TestMissingMap is told where there are files and nulls for them, and nothing that says which goes where.
func TestMissingMap(t *testing.T) {
	for name, row := range map[string]struct {
		variables string
		part      part
		missing   bool
	}{
		"a file":            {`{"f":null}`, file("a", "x"), true},
		"beside a text":     {`{"f":null,"t":"b"}`, file("a", "x"), true},
		"deep":              {`{"f":null,"t":[{"u":[1,"a"]}]}`, file("a", "x"), false},
		"a field":           {`{"f":null}`, field("a", "x"), false},
		"nothing for files": {`{"t":"b"}`, file("a", "x"), false},
	} {
		operations := strings.Replace(oneFile, `{"f":null}`, row.variables, 1)
		_, a := setup(t).do(t, form(t, field("operations", operations), row.part))
		missing := len(a.Errors) == 1 && strings.Contains(a.Errors[0].Message, "`map` is missing")
		if missing != row.missing || missing != (a.code() == bad) {
			t.Errorf("%s: %v", name, a.Errors)
		}
	}
}

func TestMissingFileIsNamed(t *testing.T) {
	_, a := setup(t).do(t, form(t, field("operations", oneFile), field("map", `{"the one":["variables.f"]}`)))
	if len(a.Errors) != 1 || !strings.Contains(a.Errors[0].Message, `"the one"`) {
		t.Error(a.Errors)
	}
}

func TestPreflightHeader(t *testing.T) {
	for header, want := range map[string]string{
		"GraphQL-Require-Preflight": "", "Apollo-Require-Preflight": "", "X-Apollo-Operation-Name": "",
		"X-Requested-With": "CSRF_PREVENTION",
	} {
		r := form(t, field("operations", oneFile), field("map", `{}`))
		r.Header.Del("GraphQL-Require-Preflight")
		r.Header.Set(header, "yes")
		resp, a := setup(t).do(t, r)
		if a.code() != want || (want != "") != (resp.StatusCode == 400) {
			t.Errorf("%s: %d %s", header, resp.StatusCode, a.code())
		}
		r = form(t)
		r.Header.Set(header, "")
		r.Header.Set("GraphQL-Require-Preflight", "")
		if _, a := setup(t).do(t, r); a.code() != "CSRF_PREVENTION" {
			t.Errorf("%s, empty: %s", header, a.code())
		}
	}
}

func TestMultipartIsNegotiated(t *testing.T) {
	r := form(t, field("operations", `{"query":"{no}"}`), field("map", `{}`))
	r.Header.Set("Accept", graphqlType)
	resp, _ := setup(t).do(t, r)
	if resp.StatusCode != 400 || resp.Header.Get("Content-Type") != graphqlType {
		t.Error(resp.StatusCode, resp.Header)
	}
}

func TestMultipartTooLargeByItsLength(t *testing.T) {
	r := form(t)
	r.ContentLength = limits.MaxRequestBytes + 1
	r.Body = io.NopCloser(failingBody{t})
	if resp, a := setup(t).do(t, r); resp.StatusCode != 413 || a.code() != tooLarge {
		t.Error(resp.StatusCode, a.code())
	}
}

// TestBrokenForms has bodies that are no form: each is refused, none panics.
func TestBrokenForms(t *testing.T) {
	const disposition = "Content-Disposition: form-data; name=\"operations\"\r\n"
	whole := "--b\r\n" + disposition + "\r\n" + `{"query":"{ok}"}` + "\r\n--b--\r\n"
	const (
		form  = "multipart/form-data; boundary=b"
		other = "multipart/form-data; boundary=c"
	)
	withHeaders := func(lines string) string { return strings.Replace(whole, "\r\n", "\r\n"+lines, 1) }
	for name, row := range map[string]struct {
		contentType, body string
		status            int
	}{
		"whole":             {form, whole, 200},
		"with an epilogue":  {form, whole + "more", 200},
		"without boundary":  {"multipart/form-data", whole, 400},
		"empty boundary":    {"multipart/form-data; boundary=", whole, 400},
		"quoted nothing":    {`multipart/form-data; boundary=""`, whole, 400},
		"odd boundary":      {"multipart/form-data; boundary=b c", whole, 400},
		"other boundary":    {other, whole, 400},
		"empty":             {form, "", 400},
		"cut in a part":     {form, whole[:70], 400},
		"cut in a header":   {form, whole[:20], 400},
		"no last boundary":  {form, strings.TrimSuffix(whole, "--\r\n"), 400},
		"no disposition":    {form, strings.Replace(whole, disposition, "", 1), 400},
		"odd header":        {form, strings.Replace(whole, disposition, "no header\r\n", 1), 400},
		"long header":       {form, withHeaders("X: " + strings.Repeat("x", 40_000) + "\r\n"), 413},
		"many headers":      {form, withHeaders(strings.Repeat("X: y\r\n", 10_000)), 413},
		"long preamble":     {form, strings.Repeat("preamble\r\n", 3000) + whole, 200},
		"long line":         {form, strings.Repeat("x", 100_000), 400},
		"attachment":        {form, strings.Replace(whole, "form-data;", "attachment;", 1), 400},
		"not the last part": {form, strings.Repeat(strings.TrimSuffix(whole, "--\r\n")+"\r\n", 2), 400},
	} {
		r := httptest.NewRequest(http.MethodPost, "/graphql", strings.NewReader(row.body))
		r.ContentLength = -1
		r.Header.Set("Content-Type", row.contentType)
		r.Header.Set("Apollo-Require-Preflight", "1")
		resp, a := setup(t, func(o *transport.Options) { o.MaxRequestBytes = 200_000 }).do(t, r)
		if resp.StatusCode != row.status {
			t.Errorf("%s: %d %v, want %d", name, resp.StatusCode, a.Errors, row.status)
		}
	}
}

// TestUnreadableDisposition is told apart from a part that has no name.
func TestUnreadableDisposition(t *testing.T) {
	const unreadable, nameless = "Content-Disposition of a part cannot be read", "A part has no name."
	for disposition, want := range map[string]string{
		`form-data; name="0"; filename="a"b.png"`:         unreadable,
		`form-data; name="0"; filename="a"; filename="b"`: unreadable,
		`form-data; name="0"; name="1"`:                   unreadable,
		`form-data; name="0`:                              unreadable,
		`attachment; name="0"`:                            unreadable,
		`form-data; filename="a.png"`:                     nameless,
		`form-data; name=""`:                              nameless,
		`form-data`:                                       nameless,
		``:                                                nameless,
	} {
		r := rawForm("--b\r\nContent-Disposition: " + disposition + "\r\n\r\nx\r\n--b--\r\n")
		resp, a := setup(t).do(t, r)
		if resp.StatusCode != 400 || a.code() != bad || !strings.Contains(a.Errors[0].Message, want) {
			t.Errorf("%s: %d %v", disposition, resp.StatusCode, a.Errors)
		}
	}
}

func TestFilenames(t *testing.T) {
	long := strings.Repeat("é", 200)
	for disposition, want := range map[string]string{
		`filename="digit.png"`:              "digit.png",
		`filename="../../etc/passwd"`:       "passwd",
		`filename="C:\\Users\\me\\3.png"`:   "3.png",
		`filename=".."`:                     "",
		`filename="a/.."`:                   "",
		`filename="a/"`:                     "a",
		`filename="日本.png"`:                 "日本.png",
		`filename="%22a%22 b.png"`:          `"a" b.png`,
		`filename="a\"b%22.png"`:            `a"b".png`,
		`filename="a%0D%0Ab.png"`:           "ab.png",
		`filename="%2522%2F%20%0a.png"`:     "%2522%2F%20%0a.png",
		`filename*=UTF-8''a%2522b.png`:      "a%22b.png",
		`filename*=UTF-8''%e2%82%ac.png`:    "€.png",
		`filename*=UTF-8''a%01%7f%c2%85b`:   "ab",
		`filename*=UTF-8''a%00b.png`:        "ab.png",
		"filename=\"\xff.png\"":             "\uFFFD.png",
		"filename=\"a\x00\x1b\x7f\rb.png\"": "ab.png",
		"filename=\"a b;c.png\"\r\nX: \x01": "a b;c.png",
		"\r\n\tfilename=\"folded.png\"":     "folded.png",
		"FileName = a.png":                  "a.png",
		`filename="` + long + `"`:           long[:254],
		`x="y"`:                             "",
	} {
		body := "--b\r\nContent-Disposition: form-data; name=\"a\"; " + disposition + "\r\n\r\nx\r\n" +
			"--b\r\nContent-Disposition: form-data; name=\"operations\"\r\n\r\n" + strings.Replace(oneFile, "null", `"a"`, 1) +
			"\r\n--b--\r\n"
		if _, a := setup(t).do(t, rawForm(body)); upload(a) != want+":1" {
			t.Errorf("%s: %q %v, want %q", disposition, upload(a), a.Errors, want)
		}
	}
}

func FuzzMultipart(f *testing.F) {
	part := func(name, text string) string {
		return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"; filename=\"f\"\r\n\r\n" + text + "\r\n"
	}
	f.Add([]byte(part("operations", oneFile) + part("map", `{"0":["variables.f"]}`) + part("0", "abc") + "--b--\r\n"))
	f.Add([]byte(part("0", "abc") + part("map", `{"0":["variables.f.1"]}`) + part("operations", manyFiles) + "--b--"))
	f.Add([]byte(part("operations", manyFiles) + part("map", `{"0":["variables.f.-1"]}`) + part("0", "abc") + "--b--"))
	f.Add([]byte(part("operations", strings.Replace(oneFile, "null", `"0"`, 1)) + part("0", "abc") + "--b--"))
	f.Add([]byte("--b\r\nX: y\r\n\r\n"))
	b := setup(f, func(o *transport.Options) {
		o.Recover = func(_ context.Context, v any) error { panic(v) }
	})
	f.Fuzz(func(t *testing.T, body []byte) {
		if onPurpose(body) {
			t.Skip("these fields do so on purpose")
		}
		b.do(t, rawForm(string(body)))
	})
}
