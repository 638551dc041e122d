package transport

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/99designs/gqlgen/graphql"

	"sibyl/graph"
)

const (
	maxFilenameBytes = 255
	maxQuotedRunes   = 100
)

// attach puts each file at its places in the variables, which must be null there. Every file of the map must have come;
// files that are not in the map are not used.
func attach(variables map[string]any, places []filePlaces, files *files, maxPlaces int) error {
	used := 0
	for _, of := range places {
		file, came := files.find(of.part)
		if !came {
			return badRequest("The file %s of the part `map` is missing.", quote(of.part))
		}
		if used += len(of.paths); used > maxPlaces {
			return tooLarge("The files of a request can be used in %d places at most.", maxPlaces)
		}
		for _, path := range of.paths {
			if err := put(variables, path, file); err != nil {
				return err
			}
		}
	}
	return nil
}

// needsMap reports whether a form without a map has a file that no variable names, and a null in whose place the file may
// be meant to be. Parts without a filename may be of no concern to us.
func (f *form) needsMap(variables map[string]any) bool {
	for _, file := range f.files.all {
		if file.Filename != "" {
			null, named := f.seek(variables)
			return null && !named
		}
	}
	return false
}

// seek reports whether there is a null in a variable, and whether there is the name of a part.
func (f *form) seek(value any) (null, named bool) {
	var items iter.Seq[any]
	switch value := value.(type) {
	case nil:
		return true, false
	case string:
		_, named = f.files.find(value)
		return false, named
	case []any:
		items = slices.Values(value)
	case map[string]any:
		items = maps.Values(value)
	default:
		return false, false
	}
	for item := range items {
		itemNull, itemNamed := f.seek(item)
		null, named = null || itemNull, named || itemNamed
	}
	return null, named
}

// put sets the place that a path leads to, by way of objects and lists.
func put(variables map[string]any, path []string, file graph.Upload) error {
	if path[0] != "variables" || len(path) == 1 {
		return badRequest("The path %s of the part `map` does not start with `variables.`.", quotePath(path))
	}
	var place any = variables
	for _, key := range path[1 : len(path)-1] {
		value, ok := lookUp(place, key)
		if !ok {
			return noPlace(path)
		}
		place = value
	}
	last := path[len(path)-1]
	switch value, ok := lookUp(place, last); value.(type) {
	case nil:
		if !ok {
			return noPlace(path)
		}
	case graph.Upload:
		return badRequest("Two files are for the one place %s.", quotePath(path))
	default:
		return badRequest("The place %s is not null in `operations`.", quotePath(path))
	}
	switch place := place.(type) {
	case map[string]any:
		place[last] = file
	case []any:
		index, _ := strconv.Atoi(last)
		place[index] = file
	}
	return nil
}

// lookUp finds a member of an object or an item of a list; false where there is none.
func lookUp(place any, key string) (value any, ok bool) {
	switch place := place.(type) {
	case map[string]any:
		value, ok = place[key]
	case []any:
		index, err := strconv.Atoi(key)
		if err == nil && index >= 0 && index < len(place) && strconv.Itoa(index) == key {
			return place[index], true
		}
	}
	return value, ok
}

func noPlace(path []string) error {
	return badRequest("The path %s of the part `map` leads to nothing in `operations`.", quotePath(path))
}

// placeFiles sees to it that each variable of type Upload holds files: where the request came without a map it puts
// them in the place of their names.
func (op *operation) placeFiles(opCtx *graphql.OperationContext) *refusal {
	for _, variable := range opCtx.Operation.VariableDefinitions {
		value := opCtx.Variables[variable.Variable]
		if variable.Type.Name() != "Upload" || value == nil {
			continue
		}
		value, err := op.uploads(value)
		if err != nil {
			err.message = fmt.Sprintf("Variable $%s: %s", variable.Variable, err.message)
			return err
		}
		opCtx.Variables[variable.Variable] = value
	}
	return nil
}

// uploads makes uploads, nulls and lists of them out of a variable's value.
func (op *operation) uploads(value any) (any, *refusal) {
	switch value := value.(type) {
	case nil, graph.Upload:
		return value, nil
	case string:
		return op.file(value)
	case []graph.Upload: // gqlparser's list of a single value
		return []any{value[0]}, nil
	case []string:
		return op.uploads([]any{value[0]})
	case []any:
		for i := range value {
			var err *refusal
			if value[i], err = op.uploads(value[i]); err != nil {
				return nil, err
			}
		}
		return value, nil
	default:
		return nil, errNoUpload()
	}
}

func (op *operation) file(name string) (any, *refusal) {
	if op.files == nil {
		return nil, errNoUpload()
	}
	file, came := op.files.find(name)
	if !came {
		return nil, badRequest("the file %s is missing.", quote(name))
	}
	if op.places--; op.places < 0 {
		return nil, tooLarge("the files of the request are used in too many places.")
	}
	return file, nil
}

func errNoUpload() *refusal {
	return &refusal{code: graph.CodeValidationFailed, message: "an Upload must be a file of a multipart request."}
}

func fileTooLarge(limit int64) error {
	return &graph.Error{
		Code: graph.CodeImageTooLarge, Message: fmt.Sprintf("The file is larger than %d bytes.", limit),
	}
}

// cleanFilename takes directories, which Windows separates in its own way, and control characters from a file's name.
func cleanFilename(name string) string {
	name = name[max(strings.LastIndexByte(name, '/'), strings.LastIndexByte(name, '\\'))+1:]
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, "\uFFFD"))
	if name == "." || name == ".." {
		return ""
	}
	return truncate(name, maxFilenameBytes)
}

// truncate cuts a text to so many bytes, between two characters.
func truncate(text string, maxBytes int) string {
	if len(text) <= maxBytes {
		return text
	}
	for !utf8.RuneStart(text[maxBytes]) {
		maxBytes--
	}
	return text[:maxBytes]
}

func quotePath(path []string) string { return quote(strings.Join(path, ".")) }

// quote shows a name that the client chose, cut where it is long.
func quote(name string) string { return strconv.Quote(truncate(name, maxQuotedRunes)) }
