package inference

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"sibyl/inference/picture"
)

var (
	// ErrModelNotFound is returned when the repository has no such model or version.
	ErrModelNotFound = errors.New("model not found")
	// ErrModelNotReady is returned when the version is still LOADING, or FAILED.
	ErrModelNotReady = errors.New("model not ready")
	// ErrModelAmbiguous is returned when no model is named, the repository has several, and none is the default.
	ErrModelAmbiguous = errors.New("several models and no default")
	// ErrOverloaded is returned at once when a queue is full.
	ErrOverloaded = errors.New("overloaded")
	// ErrUnavailable is returned when something that a version needs beside its files is out of reach, as the server that
	// runs a remote model. Asking again helps.
	ErrUnavailable = errors.New("out of reach")
	// ErrClosed is returned when the engine has been closed.
	ErrClosed = errors.New("engine closed")
)

// What images are refused for.
var (
	ErrUnsupportedMediaType = picture.ErrUnsupportedMediaType
	ErrInvalidImage         = picture.ErrInvalidImage
	ErrImageTooLarge        = picture.ErrImageTooLarge
)

// anotherModel tells what shows that a server has another model than the one that was loaded from it. It is an
// ErrUnavailable: the one that was may come back. It is fit for everybody.
type anotherModel string

func (m anotherModel) Error() string { return "the server has another model: " + string(m) }

func (anotherModel) Unwrap() error { return ErrUnavailable }

// wrapperWords are what onnxruntime_go puts before ONNX Runtime's message.
var wrapperWords = []string{
	"Error creating C session: ", "Error creating C session from file: ", "Error running network: ",
}

// sourceLine is where in its own source ONNX Runtime found an error: file, line, function, and a condition's kind. It
// tells the path of the file or its name alone, and of the function the signature or the name alone.
var sourceLine = regexp.MustCompile(`\S*/\S+\.(cc|cpp|h|hpp):\d+ (\S+ )*?\S*\([^)]*\)( const)? ?(\[[^\]]*\])? ?` +
	`|\b\w+\.(cc|cpp|h|hpp):\d+ (operator\(\)|\w+) `)

// runtimeError is ONNX Runtime's message in one line, without the wrapper's words, places in its source, and the
// directory of the version on this host, where it was told that.
func runtimeError(err error, dir string) error {
	text := err.Error()
	for _, words := range wrapperWords {
		text = strings.TrimPrefix(text, words)
	}
	if dir != "" {
		text = withoutDirectory(text, filepath.Join(dir, "model.onnx"))
	}
	text = sourceLine.ReplaceAllString(text, "")
	return fmt.Errorf("ONNX Runtime: %s", strings.Join(strings.Fields(text), " "))
}

// withoutDirectory is a text without the directory of a file on this host.
func withoutDirectory(text, file string) string {
	return strings.ReplaceAll(text, filepath.Dir(file)+string(filepath.Separator), "")
}
