package config

import "github.com/auricle-dev/auricle/host/origins"

// checkOrigin says what is wrong with an origin whose pages may stream, and
// what to do.
func checkOrigin(s string) (what, do string) {
	if err := origins.Check(s); err != nil {
		return quote(s) + " " + err.Error(), `write one as browsers do, such as "https://app.example.com" or "http://localhost:3000"`
	}
	return "", ""
}
