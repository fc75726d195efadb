// Signing in to brokers: by name and password, and with the reason told where it fails. Brokers
// that refuse somebody may do no more than end the connection.

package topic

import (
	"context"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// Login is who we are to the brokers.
type Login struct {
	Mechanism      string // plain, scram-sha-256 or scram-sha-512
	User, Password string
}

func (l Login) mechanism() (*signingIn, error) {
	switch l.Mechanism {
	case "plain":
		return &signingIn{Mechanism: plain.Auth{User: l.User, Pass: l.Password}.AsMechanism()}, nil
	case "scram-sha-256":
		return &signingIn{Mechanism: scram.Auth{User: l.User, Pass: l.Password}.AsSha256Mechanism()}, nil
	case "scram-sha-512":
		return &signingIn{Mechanism: scram.Auth{User: l.User, Pass: l.Password}.AsSha512Mechanism()}, nil
	}
	return nil, fault.WithHint(fault.New(fault.Invalid, "sign in to Kafka by %q: there is no such mechanism", l.Mechanism), "use plain, scram-sha-256 or scram-sha-512")
}

// signingIn counts the conversations that did not come to their end.
type signingIn struct {
	sasl.Mechanism
	open atomic.Int64
}

func (s *signingIn) Authenticate(ctx context.Context, host string) (sasl.Session, []byte, error) {
	session, first, err := s.Mechanism.Authenticate(ctx, host)
	if err != nil {
		return nil, nil, err
	}
	s.open.Add(1)
	return conversation{session, s}, first, nil
}

// refused tells whether some broker heard our name and did not let us in.
func (s *signingIn) refused() bool { return s != nil && s.open.Load() > 0 }

type conversation struct {
	sasl.Session
	of *signingIn
}

// mostIterations bounds what a broker may have us compute: Kafka's own are at most 16384, and what a hostile one names would keep a core
// busy for minutes, a dial.
const mostIterations = 1_000_000

// bounded refuses the first message of a broker in SCRAM (RFC 5802) that asks for more.
func bounded(message []byte) error {
	for part := range strings.SplitSeq(string(message), ",") {
		text, is := strings.CutPrefix(part, "i=")
		if !is {
			continue
		}
		if n, err := strconv.ParseUint(text, 10, 63); err != nil || n > mostIterations {
			return fault.WithHint(fault.New(fault.Denied, "a broker asks for more than %d iterations of a password's hash", mostIterations), "see whether it is the broker that it should be; have Kafka keep the user with fewer iterations")
		}
	}
	return nil
}

func (c conversation) Challenge(b []byte) (bool, []byte, error) {
	if c.of.Name() != "PLAIN" {
		if err := bounded(b); err != nil {
			return false, nil, err
		}
	}
	done, answer, err := c.Session.Challenge(b)
	if done && err == nil {
		c.of.open.Add(-1)
	}
	return done, answer, err
}
