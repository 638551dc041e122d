package transport

import (
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"

	"github.com/99designs/gqlgen/graphql"

	"sibyl/graph"
)

const (
	// maxPartHeaderBytes bounds the headers of one part.
	maxPartHeaderBytes = 16 << 10
	// partReadAhead is how far mime/multipart reads ahead of the part it is in.
	partReadAhead = 4 << 10
)

// multipartPost takes operations with files, by the GraphQL multipart request specification; of its third version, the
// parts in any order, and requests without a map whose variables name the parts.
type multipartPost struct{ options *Options }

// Supports reports whether the request is a POST of a form.
func (t multipartPost) Supports(r *http.Request) bool {
	return r.Method == http.MethodPost && isMediaType(r, "multipart/form-data")
}

// Do answers the request.
func (t multipartPost) Do(w http.ResponseWriter, r *http.Request, exec graphql.GraphExecutor) {
	t.options.serve(w, r, exec, readMultipart)
}

func readMultipart(x *exchange) (*operation, error) {
	if !hasPreflightHeader(x.r.Header) {
		return nil, errNoPreflightHeader
	}
	params, err := mediaParams(x.r)
	if err != nil {
		return nil, err
	}
	if params["boundary"] == "" {
		return nil, badRequest("Content-Type multipart/form-data needs a boundary.")
	}
	tooLong := &refusal{
		status: http.StatusRequestEntityTooLarge, code: graph.CodeImageTooLarge,
		message: "The request's files are too large together.",
	}
	start := graphql.Now()
	b, err := x.body(x.options.MaxRequestBytes, tooLong)
	if err != nil {
		return nil, err
	}
	f := &form{exchange: x, body: b, headers: headerBound{r: b}, files: make(map[string]graph.Upload)}
	if err := f.read(params["boundary"]); err != nil {
		return nil, refusalOf(err, tooLong)
	}
	op, err := f.operation()
	if err != nil {
		return nil, err
	}
	op.params.Headers = x.r.Header
	op.params.ReadTime = graphql.TraceTiming{Start: start, End: graphql.Now()}
	return op, nil
}

// hasPreflightHeader reports whether the request has a header that a browser sends to another site only after having
// asked it, which a form alone is not.
func hasPreflightHeader(h http.Header) bool {
	return h.Get("GraphQL-Require-Preflight") != "" || h.Get("Apollo-Require-Preflight") != "" ||
		h.Get("X-Apollo-Operation-Name") != ""
}

// form is a multipart body: its parts as they came.
type form struct {
	*exchange
	body       *body
	headers    headerBound
	operations []byte              // nil: not there
	places     map[string][]string // of each file by part name, from the part `map`; nil: not there
	files      map[string]graph.Upload
}

// read reads the form to its end.
func (f *form) read(boundary string) error {
	parts := multipart.NewReader(&f.headers, boundary)
	for {
		f.headers.limit(maxPartHeaderBytes + partReadAhead)
		part, err := parts.NextRawPart()
		f.headers.unlimit()
		switch {
		case err == io.EOF:
			_, err = io.Copy(io.Discard, f.body) // what follows the last boundary
			return err
		case err != nil:
			return malformed(err)
		}
		if err := f.readPart(part); err != nil {
			return malformed(err)
		}
	}
}

// malformed makes a refusal of what mime/multipart does not understand; reading errors stay what they are.
func malformed(err error) error {
	var limit *http.MaxBytesError
	if refused := (*refusal)(nil); errors.As(err, &refused) || errors.As(err, &limit) || isTimeout(err) {
		return err
	}
	var header textproto.ProtocolError
	if errors.As(err, &header) { // mime/multipart cannot be told to take the headers as they are
		return errMalformedPartHeader
	}
	return badRequest("The body is not a complete multipart/form-data body.")
}

func (f *form) readPart(part *multipart.Part) (err error) {
	name := part.FormName()
	switch _, twice := f.files[name]; {
	case name == "":
		return badRequest("A part has no name.")
	case twice, name == "operations" && f.operations != nil, name == "map" && f.places != nil:
		return badRequest("Two parts are named %s.", quote(name))
	case name == "operations":
		f.operations, err = f.readDocument(part, name)
		return err
	case name == "map":
		text, err := f.readDocument(part, name)
		if err != nil {
			return err
		}
		f.places, err = parseMap(text)
		return err
	case len(f.files) == f.options.MaxUploadFiles:
		return tooLarge("A request can have %d files at most.", f.options.MaxUploadFiles)
	}
	f.files[name], err = f.readFile(part)
	return err
}

func (f *form) readDocument(part *multipart.Part, name string) ([]byte, error) {
	text, ok, err := readBounded(part, 0, f.options.MaxDocumentBytes)
	if err == nil && !ok {
		err = tooLarge("The part `%s` is larger than %d bytes.", name, f.options.MaxDocumentBytes)
	}
	return text, err
}

// readFile reads a file into memory. One that is too large is read away and fails by itself.
func (f *form) readFile(part *multipart.Part) (graph.Upload, error) {
	upload := graph.Upload{Filename: cleanFilename(part.FileName())}
	data, ok, err := readBounded(part, f.sizeHint(), f.options.MaxUploadBytes)
	if err == nil && !ok {
		upload.Err = fileTooLarge(f.options.MaxUploadBytes)
	}
	upload.Data = data
	return upload, err
}

// sizeHint guesses the size of the next file: an even share of what is left of the body, some of which has been read
// ahead.
func (f *form) sizeHint() int64 {
	left := int64(len(f.places) - len(f.files))
	if f.r.ContentLength < 0 || left <= 0 {
		return 0
	}
	return (f.r.ContentLength - max(f.body.read-partReadAhead, 0)) / left
}

// operation puts the files into the variables.
func (f *form) operation() (*operation, error) {
	if f.operations == nil {
		return nil, badRequest("The part `operations` is missing.")
	}
	op, err := parseOperation("The part `operations`", f.operations)
	if err != nil {
		return nil, err
	}
	op.places = f.options.MaxUploadFiles
	if f.places == nil {
		op.files = f.files
		return op, nil
	}
	return op, attach(op.params.Variables, f.places, f.files, f.options.MaxUploadFiles)
}

var errOddMap = badRequest("The part `map` is not a JSON object of lists of paths.")

// parseMap reads the part `map`: `{"part": ["variables.path", …], …}`.
func parseMap(text []byte) (places map[string][]string, err error) {
	object, err := readObject(text)
	if err != nil || object == nil {
		return nil, errOddMap
	}
	places = make(map[string][]string, len(object))
	for name := range object {
		var paths []any
		if !member(object, name, &paths) {
			return nil, errOddMap
		}
		list := make([]string, len(paths))
		for i, path := range paths {
			text, ok := path.(string)
			if !ok {
				return nil, errOddMap
			}
			list[i] = text
		}
		places[name] = list
	}
	return places, nil
}

// headerBound is a reader that can be told to give no more than so many bytes: mime/multipart itself takes 10 MiB of
// headers a part.
type headerBound struct {
	r       io.Reader
	limited bool
	left    int
}

func (h *headerBound) limit(n int) { h.limited, h.left = true, n }
func (h *headerBound) unlimit()    { h.limited = false }

// Read reads from the reader below, up to the limit.
func (h *headerBound) Read(p []byte) (int, error) {
	if h.limited {
		if h.left <= 0 {
			return 0, errPartHeader
		}
		p = p[:min(len(p), h.left)]
	}
	n, err := h.r.Read(p)
	h.left -= n
	return n, err
}
