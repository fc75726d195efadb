// vishwa verify: a model against its signature and its provenance, with what was
// checked and how others can check it.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/vishwaops/vishwa/reconciler/adapter/content"
	"github.com/vishwaops/vishwa/reconciler/adapter/signer"
	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/ledger"
	"github.com/vishwaops/vishwa/schemas"
)

var _ = context.Background
var _ = filepath.Join
var _ = signer.Hint
var _ = content.Copy
var _ = ledger.Read
var _ = fault.Of
var _ = schemas.ParseRef
var _ = fmt.Sprint
var _ = os.Open

func (a *app) verifyVerb() *cobra.Command { return &cobra.Command{Use: "verify"} }
func (a *app) demoVerb() *cobra.Command   { return &cobra.Command{Use: "demo"} }
