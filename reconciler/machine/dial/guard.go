// Package dial is how others are reached: only where one may go, and only for as long as
// they answer.
//
// A declaration, a redirect or a name server must not lead this process to what only
// this machine can see; so the address that is dialled is looked at, not the one that
// was asked for.
package dial

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/vishwaops/vishwa/reconciler/fault"
)

// closed are the networks that are not the public internet and that netip does not
// tell apart (IANA special-purpose registries, RFC 6890), and a cloud's metadata.
var closed = prefixes(
	"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"168.63.129.16/32", // Azure's platform
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)

// unicast is all that IANA has given out of IPv6 for the public internet. What is elsewhere means something to somebody's own
// routers, such as an IPv4 address behind another prefix.
var unicast = netip.MustParsePrefix("2000::/3")

// translated holds an IPv4 address in its last four bytes (RFC 6052).
var translated = netip.MustParsePrefix("64:ff9b::/96")

func prefixes(all ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(all))
	for i, s := range all {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// Public tells whether a is an address of the public internet.
func Public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if translated.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.Is6() && !unicast.Contains(a) {
		return false
	}
	for _, p := range closed {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// Guard lets through what is public, and what the caller's configuration allows:
// for a declaration whose own host is allowed, that host and the allowed ones it
// redirects to.
type Guard struct {
	hosts map[string]bool // of the declaration, without their ports
	names map[string]bool
	nets  []netip.Prefix
	ours  atomic.Bool // one of the declaration's hosts was dialled as an allowed one
}

// NewGuard guards the way to a declaration's host; allow lists names, addresses and networks.
func NewGuard(host string, allow []string) (*Guard, error) { return NewGuards([]string{host}, allow) }

// NewGuards guards the way to the hosts of a declaration that names several.
func NewGuards(hosts, allow []string) (*Guard, error) {
	g := &Guard{hosts: map[string]bool{}, names: map[string]bool{}}
	for _, h := range hosts {
		g.hosts[strings.ToLower(h)] = true
	}
	for _, a := range allow {
		if p, err := netip.ParsePrefix(a); err == nil {
			g.nets = append(g.nets, p.Masked())
		} else if ip, err := netip.ParseAddr(strings.Trim(a, "[]")); err == nil {
			ip = ip.Unmap().WithZone("")
			g.nets = append(g.nets, netip.PrefixFrom(ip, ip.BitLen()))
		} else if a == "" || strings.ContainsAny(a, "/:@* ") {
			return nil, fault.WithHint(fault.New(fault.Invalid, "%q names no host and no network", a), "write a host's name, an address, or a network such as 10.0.0.0/8")
		} else {
			g.names[strings.ToLower(a)] = true
		}
	}
	return g, nil
}

// Allows tells whether the caller's configuration names host or its address.
func (g *Guard) Allows(host string, a netip.Addr) bool {
	if g.names[strings.ToLower(host)] {
		return true
	}
	for _, p := range g.nets {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// Guarded connects to each host behind a guard of its own; allow is as of NewGuard.
func Guarded(allow []string) func(ctx context.Context, network, addr string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, fault.New(fault.Invalid, "%w", err)
		}
		g, err := NewGuard(host, allow)
		if err != nil {
			return nil, err
		}
		return g.Dial(ctx, network, addr)
	}
}

// Dial connects to addr where the guard lets it.
func (g *Guard) Dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fault.New(fault.Invalid, "%w", err)
	}
	host = strings.ToLower(host)
	d := net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	d.Control = func(_, resolved string, _ syscall.RawConn) error {
		ap, err := netip.ParseAddrPort(resolved)
		if err != nil {
			return fault.WithHint(fault.New(fault.Denied, "%s has an address that cannot be read", host), "correct the host's name or address")
		}
		a := ap.Addr().Unmap().WithZone("")
		allowed := g.Allows(host, a)
		if g.hosts[host] && allowed {
			g.ours.Store(true)
		}
		if Public(a) || allowed && g.ours.Load() {
			return nil
		}
		return fault.WithHint(fault.New(fault.Denied, "%s is at %s, which is not a public address", host, a), "if it is meant: --allow %s, or allow: in the controller's file", host)
	}
	return d.DialContext(ctx, network, addr)
}
