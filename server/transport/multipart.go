package transport

import (
	"cmp"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/99designs/gqlgen/graphql"
	"github.com/go-json-experiment/json/jsontext"

	"sibyl/graph"
)

// maxPartHeaderBytes bounds the headers of one part.
const maxPartHeaderBytes = 16 << 10

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
	boundary, err := boundaryOf(x.r)
	if err != nil {
		return nil, err
	}
	b, err := x.body(x.options.MaxRequestBytes, errFilesTooLarge)
	if err != nil {
		return nil, err
	}
	data, err := b.readAll(x.r.ContentLength)
	if err != nil {
		return nil, refusalOf(err, errFilesTooLarge)
	}
	f := &form{options: x.options}
	if err := f.read(data, boundary); err != nil {
		return nil, err
	}
	op, err := f.operation()
	if err != nil {
		return nil, err
	}
	op.params.Headers = x.r.Header
	return op, nil
}

// boundaryOf is what separates the parts of the request's form.
func boundaryOf(r *http.Request) (string, error) {
	// Nearly all clients send it so, and mime takes a map for it.
	simple, ok := strings.CutPrefix(first(r.Header, "Content-Type"), "multipart/form-data; boundary=")
	if ok && simple != "" && strings.IndexFunc(simple, isNoSimple) < 0 {
		return simple, nil
	}
	params, _ := mediaParams(r) // a boundary that is empty is an odd parameter
	if params["boundary"] == "" {
		return "", badRequest("Content-Type multipart/form-data needs a boundary, and no odd parameters.")
	}
	return params["boundary"], nil
}

func isNoSimple(r rune) bool {
	return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '-' && r != '_'
}

// preflightHeaders are those of which one must be there, in the form that net/http gives their names.
var preflightHeaders = []string{"Graphql-Require-Preflight", "Apollo-Require-Preflight", "X-Apollo-Operation-Name"}

// hasPreflightHeader reports whether the request has a header that a browser sends to another site only after having
// asked it, which a form alone is not.
func hasPreflightHeader(h http.Header) bool {
	return slices.ContainsFunc(preflightHeaders, func(name string) bool { return first(h, name) != "" })
}

// form is the parts of a multipart body.
type form struct {
	options    *Options
	operations []byte       // nil: not there
	places     []filePlaces // from the part `map`; nil: not there
	files      files
}

// read reads the form to its end.
func (f *form) read(body []byte, boundary string) error {
	parts, err := newFormParts(body, boundary)
	if err != nil {
		return err
	}
	for {
		part, err := parts.next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = f.take(part)
		}
		if err != nil {
			return err
		}
	}
}

func (f *form) take(part formPart) (err error) {
	_, twice := f.files.find(part.name)
	document := part.name == "operations" || part.name == "map"
	switch {
	case part.odd != "":
		return errOddDisposition
	case part.name == "":
		return badRequest("A part has no name.")
	case twice, part.name == "operations" && f.operations != nil, part.name == "map" && f.places != nil:
		return badRequest("Two parts are named %s.", quote(part.name))
	case document && int64(len(part.data)) > f.options.MaxDocumentBytes:
		return tooLarge("The part `%s` is larger than %d bytes.", part.name, f.options.MaxDocumentBytes)
	case part.name == "operations":
		f.operations = part.data
	case part.name == "map":
		f.places, err = f.options.maps.read(part.data, parseMap)
	case len(f.files.all) == f.options.MaxUploadFiles:
		return tooLarge("Beside `operations` and `map` a request can have %d parts at most.", f.options.MaxUploadFiles)
	default:
		f.files.add(part.name, f.upload(part))
	}
	return err
}

// upload is a file; one that is too large fails by itself.
func (f *form) upload(part formPart) graph.Upload {
	upload := graph.Upload{Filename: cleanFilename(part.filename), Data: part.data}
	if int64(len(part.data)) > f.options.MaxUploadBytes {
		upload.Data, upload.Err = nil, fileTooLarge(f.options.MaxUploadBytes)
	}
	return upload
}

// operation puts the files into the variables.
func (f *form) operation() (*operation, error) {
	if f.operations == nil {
		return nil, badRequest("The part `operations` is missing.")
	}
	op, err := f.options.operation("The part `operations`", f.operations)
	if err != nil {
		return nil, err
	}
	op.places = f.options.MaxUploadFiles
	if f.places == nil {
		if f.needsMap(op.params.Variables) {
			return nil, badRequest("The part `map` is missing, and no variable names a file.")
		}
		op.files = &f.files
		return op, nil
	}
	return op, attach(op.params.Variables, f.places, &f.files, f.options.MaxUploadFiles)
}

// filePlaces are the places of one file, by the name of its part. A path is `variables.images.0` cut at its dots.
type filePlaces struct {
	part  string
	paths [][]string
}

// parseMap reads the part `map`: `{"part": ["variables.path", …], …}`. Files come by the order of their parts' names.
func parseMap(text []byte) ([]filePlaces, error) {
	paths := map[string][][]string{}
	err := readText(text, func(d *jsontext.Decoder) error {
		return readObject(d, func(part string) error {
			paths[part] = nil
			return readList(d, func() error {
				path, err := d.ReadToken()
				if err != nil || path.Kind() != '"' {
					return cmp.Or(err, errNotThis)
				}
				paths[part] = append(paths[part], strings.Split(path.String(), "."))
				return nil
			})
		})
	})
	if err != nil {
		return nil, badRequest("The part `map` is not a JSON object of lists of paths.")
	}
	places := make([]filePlaces, 0, len(paths))
	for _, part := range slices.Sorted(maps.Keys(paths)) {
		places = append(places, filePlaces{part, paths[part]})
	}
	return places, nil
}
