// The engines themselves, held to what the tests of adapters build on.

package enginetest

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }
