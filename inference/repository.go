package inference

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"unicode/utf8"
)

// repository is a directory of models, as <model>/<version>/model.onnx. Paths in its errors are relative to it.
type repository struct {
	files fs.FS
	// dir is the directory on this host; empty for the embedded repository.
	dir string
	// told are the names that tellNameless has told.
	told sync.Map
}

// modelDirectory is a model of the repository.
type modelDirectory struct {
	name string
	// versions are in ascending order; there is at least one. A remote model without directories has version 1.
	versions []int
	// unreadable tells that they are not known: what was known of them holds.
	unreadable bool
}

// openRepository opens dir, or the embedded repository where dir is empty.
func openRepository(dir string) (*repository, error) {
	if dir == "" {
		return embeddedRepository()
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("model repository: %w", err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("model repository: %s is not a directory", dir)
	}
	return &repository{files: os.DirFS(dir), dir: dir}, nil
}

// models lists the models by name. Directories that hold no version are left out and logged; so are directories beside
// versions that are not named by a positive number. Hidden ones are left out silently.
func (r *repository) models(ctx context.Context, log *slog.Logger) ([]modelDirectory, error) {
	names, err := r.directories(".")
	if err != nil {
		return nil, fmt.Errorf("model repository: %w", err)
	}
	var models []modelDirectory
	for _, name := range names {
		model, err := r.model(ctx, log, name)
		switch {
		case errors.Is(err, fs.ErrNotExist): // it is being deleted
			continue
		case err != nil: // such as lost+found
			log.LogAttrs(ctx, slog.LevelWarn, "directory that cannot be read ignored",
				slog.String("model", name), slog.Any("error", err))
			models = append(models, modelDirectory{name: name, unreadable: true})
			continue
		case len(model.versions) == 0:
			log.LogAttrs(ctx, slog.LevelWarn, "directory without versions ignored", slog.String("model", name))
			continue
		}
		models = append(models, model)
	}
	return models, nil
}

// tellNameless warns, once of each, of directories whose names are not UTF-8: they are left out, for nobody could ask for
// such a model.
func (r *repository) tellNameless(ctx context.Context, log *slog.Logger) {
	entries, _ := fs.ReadDir(r.files, ".")
	for _, entry := range entries {
		name := entry.Name()
		if utf8.ValidString(name) || strings.HasPrefix(name, ".") {
			continue
		}
		if info, err := os.Stat(filepath.Join(r.dir, name)); err != nil || !info.IsDir() {
			continue
		}
		if _, told := r.told.LoadOrStore(name, true); !told {
			log.LogAttrs(ctx, slog.LevelWarn, "directory whose name is not UTF-8 ignored",
				slog.String("directory", strings.Trim(strconv.QuoteToASCII(name), `"`)))
		}
	}
}

// check finds what makes a repository useless, at the start: that it holds no model, or not the default one.
func (r *repository) check(ctx context.Context, o Options) error {
	models, err := r.models(ctx, o.Logger)
	r.tellNameless(ctx, o.Logger)
	switch {
	case err != nil:
		return err
	case len(models) == 0:
		return errors.New("model repository: no <model>/<version>/model.onnx in it")
	case o.DefaultModel != "" && !slices.ContainsFunc(models, func(d modelDirectory) bool { return d.name == o.DefaultModel }):
		return fmt.Errorf("model repository: the default model %q is not in it", o.DefaultModel)
	}
	return nil
}

func (r *repository) model(ctx context.Context, log *slog.Logger, name string) (modelDirectory, error) {
	model := modelDirectory{name: name}
	names, err := r.directories(name)
	for _, entry := range names {
		version, ok := parseVersion(entry)
		if !ok {
			log.LogAttrs(ctx, slog.LevelWarn, "directory that is not a version ignored",
				slog.String("model", name), slog.String("directory", entry))
			continue
		}
		model.versions = append(model.versions, version)
	}
	slices.Sort(model.versions)
	if len(model.versions) == 0 && r.isRemote(name) {
		model.versions = []int{1}
	}
	return model, err
}

// isRemote tells that another server runs the model, which then needs no directories of versions; or that its
// config.yaml cannot be read, which then is told as the reason of its version 1.
func (r *repository) isRemote(model string) bool {
	c, err := r.config(model)
	return err != nil || c.isRemote()
}

// parseVersion reads the name of a version's directory: a positive number, with no leading zeros.
func parseVersion(name string) (int, bool) {
	n, err := strconv.Atoi(name)
	return n, err == nil && n > 0 && n <= math.MaxInt32 && strconv.Itoa(n) == name
}

// directories are the names of the directories in dir, links followed, hidden ones left out.
func (r *repository) directories(dir string) ([]string, error) {
	entries, err := fs.ReadDir(r.files, dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		if info, err := fs.Stat(r.files, path.Join(dir, entry.Name())); err == nil && info.IsDir() {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

// read reads a file of the repository. A file that is not there is fs.ErrNotExist; one that is no regular file is not
// read, since that may never end.
func (r *repository) read(name string) ([]byte, error) {
	info, err := fs.Stat(r.files, name)
	if err != nil {
		return nil, readError(name, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path.Base(name))
	}
	data, err := fs.ReadFile(r.files, name)
	if err != nil {
		return nil, readError(name, err)
	}
	return data, nil
}

// readError tells the cause alone, without a path of this host.
func readError(name string, err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err
	}
	return fmt.Errorf("%s: %w", path.Base(name), err)
}

// config reads a model's config.yaml; one that is not there is empty.
func (r *repository) config(model string) (*config, error) {
	data, err := r.read(path.Join(model, "config.yaml"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return parseConfig(data)
}

// route reads what a model's config.yaml says of its versions.
func (r *repository) route(model string) (Route, error) {
	c, err := r.config(model)
	if err != nil {
		return Route{}, err
	}
	return c.versions, nil
}

// stamp tells the files that a version is made of apart from those of another time, without reading them: the model's
// own and all below the version's directory, links followed. It is never empty.
func (r *repository) stamp(model string, version int) string {
	var stamp strings.Builder
	add := func(name string) {
		info, err := fs.Stat(r.files, name)
		if err != nil {
			return // what is not there changes the stamp by that
		}
		fmt.Fprintf(&stamp, "%q %d %d %v %d\n", name, info.Size(), info.ModTime().UnixNano(), info.Mode(), inode(info))
	}
	for _, name := range []string{"config.yaml", "labels.txt", "config.json"} {
		add(path.Join(model, name))
	}
	stamp.WriteByte('\n')
	_ = fs.WalkDir(r.files, path.Join(model, strconv.Itoa(version)), func(name string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			add(name)
		}
		return nil
	})
	return stamp.String()
}

// inode is a file's number, which another file in its place does not have; 0 where there are none.
func inode(info fs.FileInfo) uint64 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Ino
	}
	return 0
}

// labels reads a version's class names: from its own labels.txt, else from the model's, else none are
// given, and onnxModel.labels may find some.
func (r *repository) labels(model string, version int) ([]string, error) {
	for _, dir := range []string{path.Join(model, strconv.Itoa(version)), model} {
		data, err := r.read(path.Join(dir, "labels.txt"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return parseLabels(string(data))
	}
	return []string{}, nil
}

// parseLabels reads one class a line. A byte order mark, CRLF and empty lines at the end are tolerated.
func parseLabels(text string) ([]string, error) {
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return nil, errors.New("labels.txt: not UTF-8 text")
	}
	text = strings.TrimRight(strings.TrimPrefix(text, "\ufeff"), "\r\n\t ")
	if text == "" {
		return nil, errors.New("labels.txt: no label")
	}
	labels := strings.Split(text, "\n")
	for i, label := range labels {
		labels[i] = strings.TrimSpace(label)
		if labels[i] == "" {
			return nil, fmt.Errorf("labels.txt line %d: empty", i+1)
		}
	}
	return labels, nil
}

// external checks the files beside a model that hold its weights, and gives the version's directory on this host, in
// which ONNX Runtime finds them, and their SHA-256 by name. It refuses all that lies outside of the version's directory,
// links followed: a model from a stranger must not read this host's files.
func (r *repository) external(model string, version int, locations []string) (string, map[string]string, error) {
	if r.dir == "" {
		return "", nil, errors.New("the embedded repository holds no external data")
	}
	dir := filepath.Join(r.dir, model, strconv.Itoa(version))
	dir, err := filepath.EvalSymlinks(dir) // as ONNX Runtime tells it in its errors
	if err != nil {
		return "", nil, readError(dir, err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", nil, readError(dir, err)
	}
	defer root.Close()
	sums := make(map[string]string)
	for _, location := range locations {
		if _, done := sums[location]; done {
			continue
		}
		if sums[location], err = fileSum(root, location); err != nil {
			return "", nil, fmt.Errorf("external data %q: %w", location, err)
		}
	}
	return dir, sums, nil
}

// fileSum is the SHA-256, hexadecimal, of a regular file below root.
func fileSum(root *os.Root, location string) (string, error) {
	if !filepath.IsLocal(location) {
		return "", errors.New("outside of the version's directory")
	}
	info, err := root.Stat(location)
	if err != nil {
		return "", readError("not in the version's directory", err)
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("not a regular file")
	}
	file, err := root.Open(location)
	if err != nil {
		return "", readError("not in the version's directory", err)
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", readError(location, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
