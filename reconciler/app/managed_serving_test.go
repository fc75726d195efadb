// Deployments are looked after side by side: what hangs about one keeps nothing from being known of another, or of itself.

package app

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vishwaops/vishwa/reconciler/digest"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/schemas"
)

// lending serves, and whoever lends what it reads of the store does not answer.
type lending struct {
	port.Server
	live port.Live
}

func (s lending) Observe(ctx context.Context, _ string) (port.Live, error) {
	if err := ctx.Err(); err != nil {
		return port.Live{}, err
	}
	return s.live, nil
}

func (lending) Renew(ctx context.Context, _ string) error {
	<-ctx.Done()
	return ctx.Err()
}

// TestWhoLendsMayHangWhereWhatIsServedAnswers: then what is served is not told as failing.
func TestWhoLendsMayHangWhereWhatIsServedAnswers(t *testing.T) {
	key := digest.Of([]byte("release"))
	ref := schemas.Ref{Kind: schemas.KindDeployment, Name: "s"}
	s := &ManagedRepository{o: ManagedOptions{Env: port.Env{Log: slog.New(slog.DiscardHandler)}}}
	s.served.server, s.served.deployed = lending{live: port.Live{Key: key, Health: port.Ready}}, map[schemas.Ref]standing{ref: {key: key}}
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		all, err := s.Deployed(t.Context())
		if took := time.Since(began); err != nil || len(all) != 1 || all[0].Health != port.Ready || took > observeWithin {
			t.Errorf("after %s: %+v, %v", took, all, err)
		}
	})
}
