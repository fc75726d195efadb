// Laws of asking about many packages at once.

package packager

import (
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/vishwaops/vishwa/reconciler/fault"
	"github.com/vishwaops/vishwa/reconciler/port"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/peers"
	"github.com/vishwaops/vishwa/reconciler/port/porttest/registrytest"
)

// TestPackagesAreAskedAboutSideBySide: a registry that never answers holds all of them up together, and for as long as there is time for one.
func TestPackagesAreAskedAboutSideBySide(t *testing.T) {
	const many = 8
	came := make(chan struct{}, many)
	between := peers.NewBetween(t, registrytest.Memory())
	between.Meddle(func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		came <- struct{}{}
		<-r.Context().Done()
	})
	var all []port.Package
	for i := range many {
		all = append(all, port.Package{Name: fmt.Sprint("m", i), At: port.Registry{Repository: strings.TrimPrefix(between.URL, "http://") + fmt.Sprint("/team/m", i)}})
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	told := make(chan []error)
	go func() { told <- Ready(ctx, port.Env{}, all) }()
	for range many { // nobody is answered before all have asked
		<-came
	}
	cancel()
	for i, err := range <-told {
		if fault.Of(err) != fault.Cancelled {
			t.Errorf("of package %d: %v", i, err)
		}
	}
}

// TestRegistriesThatHangKeepNoOtherFromItsAnswer: however many of them there are, and though many packages go to each.
func TestRegistriesThatHangKeepNoOtherFromItsAnswer(t *testing.T) {
	var hung, good []port.Package
	for i := range 40 {
		between := peers.NewBetween(t, registrytest.Memory())
		between.Meddle(func(_ http.ResponseWriter, r *http.Request, _ http.Handler) { <-r.Context().Done() })
		for k := range 3 {
			hung = append(hung, port.Package{Name: fmt.Sprint("m", i), At: port.Registry{Repository: strings.TrimPrefix(between.URL, "http://") + fmt.Sprint("/team/m", k)}})
		}
	}
	host := strings.TrimPrefix(peers.NewBetween(t, registrytest.Memory()).URL, "http://")
	answered := make(chan struct{}, 16)
	between := peers.NewBetween(t, registrytest.Memory())
	between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(w, r)
		answered <- struct{}{}
	})
	for i, at := range []string{host, strings.TrimPrefix(between.URL, "http://")} {
		good = append(good, port.Package{Name: fmt.Sprint("good", i), At: port.Registry{Repository: at + "/team/good"}})
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	told := make(chan []error)
	go func() { told <- Ready(ctx, port.Env{}, append(hung, good...)) }()
	<-answered // while all others hang
	cancel()
	errs := <-told
	if err := errs[len(errs)-1]; err != nil && fault.Of(err) != fault.Cancelled {
		t.Errorf("of a registry that answers: %v", err)
	}
	for i, err := range errs[:len(hung)] {
		if fault.Of(err) != fault.Cancelled {
			t.Errorf("of package %d, whose registry hangs: %v", i, err)
		}
	}
}

// TestARegistryIsAskedOnceForAllPackages: of one repository and one base, whoever declares them, with TLS or without.
func TestARegistryIsAskedOnceForAllPackages(t *testing.T) {
	between := peers.NewBetween(t, registrytest.Memory())
	host := strings.TrimPrefix(between.URL, "http://")
	b := newBuilder(t, nil)
	order := b.order(host+"/team/price", base(t, host+"/library/python", runtime.GOARCH, "etc/base"), "")
	var asks atomic.Int32
	between.Meddle(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		asks.Add(1)
		next.ServeHTTP(w, r)
	})
	ask := func(n int) int32 {
		asks.Store(0)
		var all []port.Package
		for range n {
			plain := true
			one := order
			one.At.PlainHTTP = &plain
			all = append(all, one)
		}
		for _, err := range Ready(t.Context(), port.Env{}, all) {
			if err != nil {
				t.Error(err)
			}
		}
		return asks.Load()
	}
	if one, many := ask(1), ask(20); one == 0 || many != one {
		t.Errorf("for one package the registry was asked %d times, and for 20 of the same %d", one, many)
	}
}
