package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
)

// configOf is the configuration of a command line.
func configOf(t *testing.T, args ...string) (Config, error) {
	t.Helper()
	parser := newParser()
	parsed, err := parser.Parse(append([]string{"serve"}, args...))
	if err != nil {
		return Config{}, err
	}
	return parsed.Selected().Target.Interface().(serveCommand).Config, nil
}

func TestDefaults(t *testing.T) {
	c, err := configOf(t)
	if err != nil {
		t.Fatal(err)
	}
	if c.Address != "127.0.0.1:8080" || c.MaxUploadBytes != 16<<20 || c.MaxRequestBytes != 128<<20 ||
		c.MaxInFlight != 1024 || c.Timeout != 30*time.Second || !c.Introspection || c.Production || c.DatabaseURL != "" {
		t.Errorf("%+v", c)
	}
}

func TestFlagWinsOverVariable(t *testing.T) {
	t.Setenv("SIBYL_MAX_UPLOAD_BYTES", "1KB")
	t.Setenv("SIBYL_INTROSPECTION", "false")
	t.Setenv("SIBYL_TIMEOUT", "7s")
	c, err := configOf(t, "--timeout", "8s", "--no-playground")
	if err != nil {
		t.Fatal(err)
	}
	if c.MaxUploadBytes != 1000 || c.Introspection || c.Playground || c.Timeout != 8*time.Second {
		t.Errorf("%+v", c)
	}
}

// TestEmptyVariableIsNone: a flag has its default then.
func TestEmptyVariableIsNone(t *testing.T) {
	t.Setenv("SIBYL_TIMEOUT", "")
	t.Setenv("SIBYL_INTROSPECTION", "")
	t.Setenv("SIBYL_MAX_IN_FLIGHT", "7")
	parsed, err := parse([]string{"serve"})
	if err != nil {
		t.Fatal(err)
	}
	c := parsed.context.Selected().Target.Interface().(serveCommand)
	if c.Timeout != 30*time.Second || !c.Introspection || c.MaxInFlight != 7 {
		t.Errorf("%+v", c.Config)
	}
}

func TestConfigIsValidated(t *testing.T) {
	for _, row := range []struct {
		args, want string // want is part of the error; empty: none
	}{
		{"", ""},
		{"--address localhost:0", ""},
		{"--address [::1]:8080", ""},
		{"--address 127.8.8.8:8080", ""},
		{"--address 0.0.0.0:8080", "--insecure"},
		{"--address :8080", "--insecure"},
		{"--address [::]:8080", "--insecure"},
		{"--address example.org:8080", "--insecure"},
		{"--address localhost.example.org:8080", "--insecure"},
		{"--address :8080 --insecure", ""},
		{"--address :8080 --api-keys keys", ""},
		{"--address localhost", "host:port"},
		{"--max-in-flight 0", "--max-in-flight"},
		{"--max-upload-bytes 0", "--max-upload-bytes"},
		{"--timeout -1s", "--timeout"},
		{"--max-tokens 0", "--max-tokens"},
		{"--max-depth 0", "--max-depth"},
		{"--max-aliases 0", "--max-aliases"},
		{"--max-root-fields 0", "--max-root-fields"},
		{"--max-directives 0", "--max-directives"},
		{"--max-complexity 0", "--max-complexity"},
		{"--max-introspection-depth 0", "--max-introspection-depth"},
		{"--max-request-bytes 2GiB", "--max-in-flight-bytes"},
		{"--max-upload-bytes 512MiB --max-request-bytes 1GiB", ""},
		{"--max-upload-bytes 513MiB --max-request-bytes 1GiB", "512MiB"},
		{"--max-upload-bytes 129MiB", "--max-request-bytes"},
		{"--database-url postgres://u:p@h/d", ""},
		{"--database-url mysql://u:geheim@h/d", "postgres://"},
		{"--database-url ::geheim", "postgres://"},
		{"--images s3://bucket?region=eu-central-1", ""},
		{"--images file:///images", ""},
		{"--images ftp://me:geheim@host/x", "--images"},
		{"--images s3://?profile=geheim", "--images"},
		{"--tls-cert a --tls-key b", ""},
		{"--tls-cert a", "need each other"},
		{"--tls-key b", "need each other"},
		{"--cors-origins https://a.example.org,http://localhost:5173", ""},
		{"--cors-origins *", "--cors-origins"},
		{"--cors-origins https://*", "--cors-origins"},
		{"--cors-origins https://a.example.org/", "--cors-origins"},
		{"--cors-origins https://a.example.org/path", "--cors-origins"},
		{"--cors-origins null", "--cors-origins"},
		{"--cors-origins file:///a", "--cors-origins"},
		{"--rate-limit 0.5 --rate-burst 1", ""},
		{"--rate-limit=-1", "--rate-limit"},
		{"--rate-limit NaN", "--rate-limit"},
		{"--rate-burst 0", "--rate-burst"},
		{"--persisted-queries 0 --trusted-documents dir --trusted-only", ""},
		{"--persisted-queries=-1", "--persisted-queries"},
		{"--trusted-only", "--trusted-documents"},
		{"--log-format xml", "log-format"},
		{"--provider webgpu --gpu-device 1 --gpu-memory-limit 2GiB", ""},
		{"--provider gpu", `must be one of "auto","tensorrt","cuda","webgpu","cpu"`},
		{"--gpu-device=-1", "--gpu-device"},
		{"--max-upload-bytes many", "MiB"},
		{"more", "unexpected argument"},
	} {
		_, err := configOf(t, strings.Fields(row.args)...)
		if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("%s: %v, want %q", row.args, err, row.want)
		}
		if err != nil && strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: the password is shown: %v", row.args, err)
		}
	}
}

func TestByteSizes(t *testing.T) {
	for text, want := range map[string]ByteSize{
		"0": 0, "1": 1, "16MiB": 16 << 20, "1GB": 1e9, "1.5KiB": 1536, "2 mb": 2e6, "7B": 7, "1gib": 1 << 30, "3kb": 3000,
		"": -1, "MiB": -1, "-1": -1, "1TB": -1, "1 M": -1, "NaN": -1, "inf": -1, "9999999999GiB": -1,
	} {
		got := ByteSize(-1)
		if err := got.UnmarshalText([]byte(text)); got != want || (err != nil) != (want < 0) {
			t.Errorf("%q: %d, %v; want %d", text, got, err, want)
		}
	}
}

func TestTimesToKeep(t *testing.T) {
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"": 0, "0": 0, "30d": 30 * day, "720h": 30 * day, "1D12h": 36 * time.Hour, "0.5d": day / 2, "90m": 90 * time.Minute,
		"30": -1, "d": -1, "-1d": -1, "-1h": -1, "NaNd": -1, "infd": -1, "9999999d": -1, "1h1d": -1, "1d-1h": -1, "ever": -1,
	} {
		got := KeepTime(-1)
		if err := got.UnmarshalText([]byte(text)); time.Duration(got) != want || (err != nil) != (want < 0) {
			t.Errorf("%q: %v, %v; want %v", text, time.Duration(got), err, want)
		}
	}
}

func TestPasswordIsNotShown(t *testing.T) {
	for _, u := range []DatabaseURL{
		"postgres://me:geheim@db/sibyl", "postgres://db/sibyl?user=me&password=geheim&sslmode=require",
		"postgres://db/sibyl?sslpassword=geheim", "host=db password=geheim dbname=sibyl", "postgres://me:geheim@[::/x",
	} {
		var logged bytes.Buffer
		c := DatabaseConfig{DatabaseURL: u}
		slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "url", u, "config", c)
		asJSON, _ := json.Marshal(c)
		for _, text := range []string{fmt.Sprint(u), fmt.Sprintf("%v %+v %#v", u, u, u), logged.String(), string(asJSON)} {
			if strings.Contains(text, "geheim") || !strings.Contains(text, "xxxxx") {
				t.Errorf("%s", text)
			}
		}
	}
}

func TestSecretsOfImagesAreNotShown(t *testing.T) {
	for _, u := range []ImagesURL{
		"s3://bucket?endpoint=http://me:geheim@host&region=x", "azblob://me:geheim@container", "s3://geheim\x7f",
	} {
		var logged bytes.Buffer
		c := Config{Images: u}
		slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "url", u, "config", c)
		asJSON, _ := json.Marshal(c)
		for _, text := range []string{fmt.Sprint(u), fmt.Sprintf("%v %+v %#v", u, u, u), logged.String(), string(asJSON)} {
			if strings.Contains(text, "geheim") || !strings.Contains(text, "xxxxx") {
				t.Errorf("%s", text)
			}
		}
	}
}

// TestHelpIsComplete: each flag tells its variable, and one that has a default tells it.
func TestHelpIsComplete(t *testing.T) {
	var help bytes.Buffer
	parser := newParser(kong.Writers(&help, &help), kong.Exit(func(int) { panic("exit") }))
	func() {
		defer func() { _ = recover() }()
		_, _ = parser.Parse([]string{"serve", "--help"})
	}()
	all := flags()
	if len(all) < 20 {
		t.Errorf("%d flags", len(all))
	}
	text := strings.NewReplacer(`"`, "", "[no-]", "").Replace(strings.Join(strings.Fields(help.String()), " "))
	for _, f := range all {
		if !strings.Contains(text, "($"+f.Variable+")") || !strings.Contains(text, f.Name) {
			t.Errorf("%s (%s) is not in --help", f.Name, f.Variable)
		}
		if f.Default != "" && f.Default != "true" && !strings.Contains(text, f.Name+"="+f.Default) {
			t.Errorf("%s: the default %s is not in --help", f.Name, f.Default)
		}
	}
}
