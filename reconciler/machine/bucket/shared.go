// What places for objects in other packages keep as these do.

package bucket

import (
	"net"
	"net/http"
)

// CheckKey refuses what names no object in any place: what is no plain relative path.
func CheckKey(key string) error { return checkKey(key) }

// Paced has at most so many requests of next under way at once, and fewer where the
// server says that it is too much.
func Paced(next http.RoundTripper, most int) http.RoundTripper { return paced(next, most) }

// Lively is c, which ends where nothing goes over it for too long, in either direction.
func Lively(c net.Conn) net.Conn { return &lively{c} }
