package main

import (
	"errors"
	"fmt"
	"math"
	"net"
	"time"

	"sibyl/inference"
)

// largestUpload is the most that MaxUploadBytes may be: a row goes to PostgreSQL in one message, and pgx sends none
// near 1 GiB.
const largestUpload ByteSize = 512 << 20

// Config configures `sibyl serve`. Its tags are the command line; the flag and its variable are the field's name, as
// `--max-in-flight` and `SIBYL_MAX_IN_FLIGHT` are of MaxInFlight, unless a tag says otherwise.
type Config struct {
	DatabaseConfig `embed:""`
	// Images is the URL of the object store for the bytes of new images; empty: they go to the database.
	Images ImagesURL `placeholder:"URL" help:"Object store of images: s3, gs, azblob or file; without it the database."`
	// KeepImages and KeepPredictions say for how long they are kept, 0 for ever. With the last prediction of an input
	// goes all of it.
	KeepImages      KeepTime `placeholder:"TIME" help:"How long images are kept, as 30d or 720h; without it for ever."`
	KeepPredictions KeepTime `placeholder:"TIME" help:"How long predictions are kept; without it for ever."`

	// Address is host:port. Port 0 takes a free one, which the log tells.
	Address string `default:"127.0.0.1:8080" help:"Host and port to listen on."`
	// APIKeys is the file of the keys; empty: there are none, and everybody may do everything.
	APIKeys string `placeholder:"FILE" help:"API keys, see sibyl keys; without it everybody may do everything."`
	// Insecure lets Address be another than a loopback one where there are no keys.
	Insecure bool `help:"Listen on other than loopback addresses without API keys, too."`
	// TLSCert and TLSKey are PEM files, with both of which TLS is served.
	TLSCert string `placeholder:"FILE" help:"Certificate with its chain; without it, no TLS."`
	TLSKey  string `placeholder:"FILE" help:"The certificate's private key."`
	// CORSOrigins are the other sites whose pages may ask, and read the answers.
	CORSOrigins []string `placeholder:"ORIGIN" help:"Other sites whose pages may ask, as https://example.org."`
	// RateLimit bounds the requests of one key in a second, or of one address where there are no keys; 0: nothing does.
	// RateBurst are those that may come at once.
	RateLimit float64 `default:"0" help:"Most requests a second by one key, or address without keys; 0: any number."`
	RateBurst int     `default:"100" help:"Most of them at once."`

	EngineConfig `embed:""`
	// DefaultModel answers requests that name none; empty: the only one.
	DefaultModel string `placeholder:"NAME" help:"Model of requests that name none; without it the only one."`
	// Libvips is the path of libvips; empty: found, and where it is nowhere, none; "off": none.
	Libvips string `placeholder:"FILE" help:"libvips; without it the one installed. off: no AVIF, slower photographs."`

	// MaxUploadBytes bounds one file, MaxUploadFiles the files of a request, MaxRequestBytes all of a multipart request.
	MaxUploadBytes  ByteSize `default:"16MiB" help:"Largest file, 512MiB at most."`
	MaxUploadFiles  int      `default:"64" help:"Most files in a request."`
	MaxRequestBytes ByteSize `default:"128MiB" help:"Largest request with files."`
	// MaxDocumentBytes bounds a JSON request, and the GraphQL part of one with files.
	MaxDocumentBytes ByteSize `default:"1MiB" help:"Largest JSON request."`
	// MaxPixels bounds width × height of an image; it is read from the image's header before anything is decoded.
	MaxPixels int `default:"50000000" help:"Most pixels in an image."`
	// MaxOutputValues bounds the values of an output tensor that is stored; a larger one is stored without them.
	MaxOutputValues int `default:"100000" help:"Most values of an output tensor that are stored."`
	// MaxResponseBytes bounds the bytes of images in an answer; what is beyond is null with RESPONSE_TOO_LARGE.
	MaxResponseBytes ByteSize `default:"64MiB" help:"Most bytes of images in an answer."`

	DocumentLimits `embed:""`

	// MaxInFlight bounds the GraphQL operations that run, MaxInFlightBytes what their requests
	// hold in memory, and as much again what their answers do.
	MaxInFlight      int      `default:"1024" help:"Most operations at a time; more are OVERLOADED."`
	MaxInFlightBytes ByteSize `default:"1GiB" help:"Most bytes of requests in memory, and of answers; more are OVERLOADED."`
	// MaxStreams bounds the WebSockets and event streams that are open.
	MaxStreams int `default:"4096" help:"Most WebSockets and event streams at a time; more are OVERLOADED."`
	// Timeout bounds an operation, with the reading of its request.
	Timeout time.Duration `default:"30s" help:"Longest time an operation may take."`
	// ShutdownTimeout bounds the time from the signal to the end of the process.
	ShutdownTimeout time.Duration `default:"30s" help:"Longest time to finish what is in flight when told to stop."`

	// Introspection and Playground are off in production, whatever they are.
	Introspection bool `default:"true" negatable:"" help:"Answer questions about the schema (on; off with --production)."`
	Playground    bool `default:"true" negatable:"" help:"Serve /playground (on; off with --production)."`
	Production    bool `help:"Turn introspection, the playground and suggestions in errors off."`

	// PersistedQueries bounds the documents that clients may name by hash once they were sent, whose texts have 8 KiB each
	// on average; 0: none.
	PersistedQueries int `default:"1024" help:"Most documents that are kept to be asked for by hash; 0: none."`
	// TrustedDocuments is a directory of documents that may be named from the start; empty: there are none. TrustedOnly
	// refuses all others.
	TrustedDocuments string `placeholder:"DIR" help:"Documents, NAME.graphql, to be asked for by name; read at start only."`
	TrustedOnly      bool   `help:"Run no other documents than these."`

	// OTLPEndpoint is the URL of an OpenTelemetry collector; empty: no traces.
	OTLPEndpoint string `env:"OTEL_EXPORTER_OTLP_ENDPOINT" placeholder:"URL" help:"OpenTelemetry collector of traces."`
	// DebugAddress serves net/http/pprof, on a loopback address; empty: nothing does.
	DebugAddress string `placeholder:"ADDRESS" help:"Loopback host and port of /debug/pprof/; without it none."`

	LogFormat string `default:"auto" enum:"auto,text,json" help:"auto (text on a terminal, else json), text or json."`
	LogLevel  string `default:"info" enum:"debug,info,warn,error" help:"debug, info, warn or error."`
}

// EngineConfig says which models there are, and what runs them.
type EngineConfig struct {
	// Models is the directory of the model repository; empty: the embedded one.
	Models string `placeholder:"DIR" help:"Model repository; without it the embedded one, mnist."`
	// ONNXRuntime is the path of ONNX Runtime's shared library; empty: found.
	ONNXRuntime string `name:"onnxruntime" placeholder:"FILE" help:"ONNX Runtime's library; without it the one installed."`
	// Provider runs the models whose configuration names none; auto is the first that there is of the others.
	Provider inference.Provider `default:"auto" enum:"auto,tensorrt,cuda,webgpu,cpu" help:"What runs models: ${enum}."`
	// GPUDevice is the GPU of CUDA and TensorRT, from 0. GPUMemoryLimit bounds what a model version takes there; 0: what
	// there is.
	GPUDevice      int      `default:"0" help:"Number of the GPU that CUDA and TensorRT use."`
	GPUMemoryLimit ByteSize `default:"0" help:"Most memory a model version takes on it; 0: what there is."`
	// Probe is Options.Probe of the engine; commands set it.
	Probe []string `kong:"-"`
}

// options are those of an engine that nobody has to be told of, and that no photographs are sent to.
func (c *EngineConfig) options() inference.Options {
	return inference.Options{
		Library: c.ONNXRuntime, Libvips: "off", Repository: c.Models, Probe: c.Probe,
		Provider: c.Provider, GPUDevice: c.GPUDevice, GPUMemoryLimit: int64(c.GPUMemoryLimit),
	}
}

// DatabaseConfig says where the database is.
type DatabaseConfig struct {
	// DatabaseURL is a postgres:// URL; empty: an embedded PostgreSQL under Data.
	DatabaseURL DatabaseURL `env:"DATABASE_URL" placeholder:"URL" help:"Without it, an embedded PostgreSQL."`
	// ListenURL is a postgres:// URL of the same database without a pooler in between; empty: DatabaseURL.
	ListenURL DatabaseURL `placeholder:"URL" help:"The database without a pooler, where one is; without it as above."`
	// Data is the directory of all that the process itself keeps.
	Data string `default:"./data" help:"Directory of the embedded database."`
	// Postgres is the directory of initdb and postgres; empty: found.
	Postgres string `placeholder:"DIR" help:"Directory of the embedded database's programs."`
	// MaxConnections bounds the connection pool.
	MaxConnections int `default:"16" help:"Most connections to the database for requests; the rest has 4."`
	// StatementTimeout bounds a statement to the database.
	StatementTimeout time.Duration `default:"30s" help:"Longest time a statement may take; ten times it in the background."`
}

// Validate reports the first thing that keeps the configuration from being used, in the words of its flag.
func (c *Config) Validate() error {
	if err := c.DatabaseConfig.validate(); err != nil {
		return err
	}
	if err := c.Images.validate(); err != nil {
		return err
	}
	if err := checkOrigins(c.CORSOrigins); err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(c.Address)
	if err != nil {
		return fmt.Errorf("--address %q is not host:port", c.Address)
	}
	if c.open() && !isLoopback(host) {
		return fmt.Errorf("--address %s is not a loopback address, and there are no --api-keys: "+
			"give some, or --insecure to serve everybody who reaches it", c.Address)
	}
	if host, _, err := net.SplitHostPort(c.DebugAddress); c.DebugAddress != "" && (err != nil || !isLoopback(host)) {
		return fmt.Errorf("--debug-address %q is not host:port of a loopback address", c.DebugAddress)
	}
	if err := c.DocumentLimits.validate(); err != nil {
		return err
	}
	if err := atLeastOne([]limit{
		{"--max-upload-bytes", int64(c.MaxUploadBytes)},
		{"--max-upload-files", int64(c.MaxUploadFiles)},
		{"--max-request-bytes", int64(c.MaxRequestBytes)},
		{"--max-document-bytes", int64(c.MaxDocumentBytes)},
		{"--max-pixels", int64(c.MaxPixels)},
		{"--max-output-values", int64(c.MaxOutputValues)},
		{"--max-response-bytes", int64(c.MaxResponseBytes)},
		{"--max-in-flight", int64(c.MaxInFlight)},
		{"--max-in-flight-bytes", int64(c.MaxInFlightBytes)},
		{"--max-streams", int64(c.MaxStreams)},
		{"--max-connections", int64(c.MaxConnections)},
		{"--statement-timeout", int64(c.StatementTimeout)},
		{"--rate-burst", int64(c.RateBurst)},
		{"--timeout", int64(c.Timeout)},
		{"--shutdown-timeout", int64(c.ShutdownTimeout)},
	}); err != nil {
		return err
	}
	switch {
	case (c.TLSCert == "") != (c.TLSKey == ""):
		return errors.New("--tls-cert and --tls-key need each other")
	case !(c.RateLimit >= 0 && c.RateLimit <= math.MaxInt32):
		return errors.New("--rate-limit must be 0 or more requests a second")
	case c.PersistedQueries < 0:
		return errors.New("--persisted-queries must not be less than 0")
	case c.TrustedOnly && c.TrustedDocuments == "":
		return errors.New("--trusted-only needs --trusted-documents: every operation would be refused")
	case c.GPUDevice < 0:
		return errors.New("--gpu-device must not be less than 0")
	case c.MaxUploadBytes > largestUpload:
		return errors.New("--max-upload-bytes is more than 512MiB: PostgreSQL could not store such a file")
	case c.MaxUploadBytes > c.MaxRequestBytes:
		return errors.New("--max-upload-bytes is more than --max-request-bytes: such a file could never be taken")
	case c.MaxRequestBytes > c.MaxInFlightBytes:
		return errors.New("--max-request-bytes is more than --max-in-flight-bytes: such a request could never be taken")
	}
	return nil
}

// limit is the value of a flag that bounds something.
type limit struct {
	flag  string
	value int64
}

// atLeastOne reports the first limit that lets nothing through.
func atLeastOne(limits []limit) error {
	for _, l := range limits {
		if l.value <= 0 {
			return fmt.Errorf("%s must be more than 0", l.flag)
		}
	}
	return nil
}

// open reports whether everybody may do everything, and nobody has said that this is meant.
func (c *Config) open() bool { return c.APIKeys == "" && !c.Insecure }

// validate reports a URL that cannot be meant.
func (c *DatabaseConfig) validate() error {
	if err := c.DatabaseURL.validate("--database-url (DATABASE_URL)"); err != nil {
		return err
	}
	return c.ListenURL.validate("--listen-url (SIBYL_LISTEN_URL)")
}

// isLoopback reports whether a host is reached from this machine alone. Names other than localhost are not looked up:
// they may mean something else tomorrow.
func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}
