// Keeper is the module of package app.
package main

import (
	"github.com/auricle-dev/auricle/sdk"
	"github.com/auricle-dev/auricle/sdk/testdata/guests/keeper/app"
)

func main() {}

func init() { sdk.Register(app.App) }
