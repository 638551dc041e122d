package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sibyl/persistence/persistencetest"
	server "sibyl/server"
)

// certificate is one for 127.0.0.1 and sibyl.example.org, in files.
type certificate struct {
	cert, key string
	serial    int64
	pool      *x509.CertPool
}

// writeCertificate makes one and puts it into the directory, in the place of one that is there.
func writeCertificate(t *testing.T, dir string, serial int64) certificate {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "sibyl"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"sibyl.example.org"},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	privateDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	c := certificate{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), serial, x509.NewCertPool()}
	c.pool.AddCert(parsed)
	for path, block := range map[string]*pem.Block{
		c.cert: {Type: "CERTIFICATE", Bytes: der}, c.key: {Type: "PRIVATE KEY", Bytes: privateDER},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// use makes a server use the certificate.
func (c certificate) use(config *server.Config) { config.TLSCert, config.TLSKey = c.cert, c.key }

// get asks over a connection of its own; the error is that of the handshake.
func (c certificate) get(t *testing.T, url, host string, config *tls.Config) (*http.Response, error) {
	t.Helper()
	config.RootCAs = c.pool
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/graphql?query={__typename}", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	resp, err := (&http.Client{Transport: transport}).Do(r)
	if err == nil {
		_ = resp.Body.Close()
	}
	return resp, err
}

func TestTLS(t *testing.T) {
	c := writeCertificate(t, t.TempDir(), 1)
	s := newServer(t, c.use, func(c *server.Config) { c.Insecure = true })
	if !strings.HasPrefix(s.url, "https://") {
		t.Error(s.url)
	}
	resp, err := c.get(t, s.url, "sibyl.example.org", &tls.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.ProtoMajor != 2 || resp.TLS.Version != tls.VersionTLS13 ||
		resp.Header.Get("Strict-Transport-Security") != "max-age=31536000" {
		t.Errorf("%+v", resp)
	}
	if resp, err := c.get(t, s.url, "", &tls.Config{MaxVersion: tls.VersionTLS12}); err != nil || resp.StatusCode != 200 ||
		resp.Header.Get("Strict-Transport-Security") != "" {
		t.Errorf("%v %+v", err, resp)
	}
	if _, err := c.get(t, s.url, "", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	if status, _ := (&service{url: strings.Replace(s.url, "https:", "http:", 1)}).get(t, "/healthz"); status != 400 {
		t.Errorf("without TLS: %d", status)
	}
}

// TestCertificateIsReadAgain while the server runs.
func TestCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	first := writeCertificate(t, dir, 1)
	s := newServer(t, first.use)
	works := func(c certificate) bool {
		resp, err := c.get(t, s.url, "", &tls.Config{})
		return err == nil && resp.TLS.PeerCertificates[0].SerialNumber.Int64() == c.serial
	}
	if !works(first) {
		t.Error("the first certificate is not used")
	}
	second := writeCertificate(t, dir, 2)
	waitFor(t, func() bool { return works(second) })
}

func TestBadCertificateStopsTheStart(t *testing.T) {
	dir := t.TempDir()
	certificate, other := writeCertificate(t, dir, 1), writeCertificate(t, t.TempDir(), 2)
	c := server.DefaultConfig()
	c.Address, c.DatabaseURL = "127.0.0.1:0", server.DatabaseURL(persistencetest.Database(t))
	for _, pair := range [][2]string{
		{certificate.cert, other.key}, {certificate.key, certificate.cert}, {certificate.cert, filepath.Join(dir, "none")},
	} {
		c.TLSCert, c.TLSKey = pair[0], pair[1]
		_, err := server.New(t.Context(), c, slog.New(slog.DiscardHandler))
		if err == nil || !strings.HasPrefix(err.Error(), "--tls-cert, --tls-key: ") {
			t.Error(err)
		}
	}
}
