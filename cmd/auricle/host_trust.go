package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/spf13/pflag"
)

// hostFlags say which host a command asks, and whom it trusts to certify it.
type hostFlags struct{ url, ca string }

func (f *hostFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.url, "url", defaultHostURL, hostURLUsage)
	addCAFlag(flags, &f.ca)
}

// client returns what asks the host.
func (f *hostFlags) client() (*hostClient, error) {
	c, err := newHostClient(f.url)
	if err != nil {
		return nil, err
	}
	c.tls, err = trust(f.ca)
	return c, err
}

func addCAFlag(flags *pflag.FlagSet, file *string) {
	flags.StringVar(file, "ca", "", "a `FILE` of certificates (PEM) to trust besides the system's, for https and wss")
}

// trust returns how the certificates of hosts are checked: by the system's
// roots and those in file; nil, the usual way, without a file.
func trust(file string) (*tls.Config, error) {
	if file == "" {
		return nil, nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the certificates to trust (-ca): %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("reading the system's certificates: %w", err)
	}
	if !roots.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("-ca %s has no certificate; give a PEM file with one or more", file)
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}
