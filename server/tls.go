package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"sibyl/server/watch"
)

// openTLS reads the certificate, where there is to be one, and follows its changes.
func (s *Server) openTLS(context.Context) error {
	certFile, keyFile := s.config.TLSCert, s.config.TLSKey
	if certFile == "" {
		return nil
	}
	certificate, err := watch.Open("TLS certificate", func() ([]byte, func() (*tls.Certificate, error), error) {
		cert, certErr := os.ReadFile(certFile)
		key, keyErr := os.ReadFile(keyFile)
		parse := func() (*tls.Certificate, error) {
			pair, err := tls.X509KeyPair(cert, key)
			return &pair, err
		}
		return append(append(cert[:len(cert):len(cert)], 0), key...), parse, errors.Join(certErr, keyErr)
	}, nil, s.logger, filepath.Dir(certFile), filepath.Dir(keyFile))
	if err != nil {
		return fmt.Errorf("--tls-cert, --tls-key: %w", err)
	}
	s.opened = append(s.opened, func() error { certificate.Close(); return nil })
	s.tls = &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate.Get(), nil },
	}
	return nil
}

// stayWithTLS tells browsers to come by TLS alone from now on. On localhost, and by address, other servers run beside
// this one.
func stayWithTLS(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isOwnHost(r.Host) {
			w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

// serveHTTP serves by TLS where there is a certificate.
func (s *Server) serveHTTP() error {
	if s.tls == nil {
		return s.http.Serve(s.listener)
	}
	s.http.TLSConfig = s.tls
	return s.http.ServeTLS(s.listener, "", "")
}
