package topic

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// TestABrokerSaysHowMuchIsComputedWithinBounds: a hostile one keeps no core of ours busy, and what is usual signs in.
func TestABrokerSaysHowMuchIsComputedWithinBounds(t *testing.T) {
	for _, mechanism := range []string{"scram-sha-256", "scram-sha-512"} {
		for iterations, let := range map[string]bool{"4096": true, "16384": true, "1000001": false, "2147483647": false, "99999999999999999999": false, "-1": false, "x": false} {
			m, err := Login{mechanism, "ada", "lovelace"}.mechanism()
			if err != nil {
				t.Fatal(err)
			}
			s, first, err := m.Authenticate(context.Background(), "broker")
			if err != nil {
				t.Fatal(err)
			}
			_, nonce, _ := bytes.Cut(first, []byte("r="))
			begun := time.Now()
			_, _, err = s.Challenge(fmt.Appendf(nil, "r=%sserver,s=c2FsdA==,i=%s", nonce, iterations))
			if (err == nil) != let || err != nil && (fault.Of(err) != fault.Denied || fault.HintOf(err) == "" || !strings.Contains(err.Error(), "1000000 iterations")) {
				t.Errorf("%s, %s: %v", mechanism, iterations, err)
			}
			if !let && time.Since(begun) > time.Second {
				t.Errorf("%s, %s: it took %s", mechanism, iterations, time.Since(begun))
			}
		}
	}
}
