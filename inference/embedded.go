package inference

import (
	"embed"
	"io/fs"
)

// embedded is the repository that serves where none is given: mnist, the digit classifier trained in training.
//
//go:embed models/mnist
var embedded embed.FS

func embeddedRepository() (*repository, error) {
	files, err := fs.Sub(embedded, "models")
	return &repository{files: files}, err
}
