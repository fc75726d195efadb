// What a command may reach over the network, as people write it.

package schemas

import (
	"encoding/json"
	"fmt"
)

// Network is what a command may reach: all, none, or a list of hosts, host:port each;
// *.example.com:443 is every name below it. It is no part of the key. Nil is not declared.
type Network []string

// HostPattern is what one host looks like, as a regular expression that Go and JSON Schema share.
const HostPattern = `^(\*\.)?([A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?\.?)+:[0-9]{1,5}$|^\[[0-9A-Fa-f:.]+\]:[0-9]{1,5}$`

// All and None stand alone.
const (
	NetworkAll  = "all"
	NetworkNone = "none"
)

// UnmarshalJSON reads one word or a list.
func (n *Network) UnmarshalJSON(raw []byte) error {
	var word *string
	if json.Unmarshal(raw, &word) == nil {
		if word == nil {
			return nil
		}
		*n = Network{*word}
		return nil
	}
	var list []string
	if err := json.Unmarshal(raw, &list); err != nil {
		return fmt.Errorf("network is all, none, or a list of host:port")
	}
	*n = append(Network{}, list...)
	return nil
}

// UnmarshalText reads one word.
func (n *Network) UnmarshalText(word []byte) error {
	*n = Network{string(word)}
	return nil
}

// MarshalJSON writes one word or a list.
func (n Network) MarshalJSON() ([]byte, error) {
	switch {
	case n == nil:
		return []byte("null"), nil
	case len(n) == 0:
		return json.Marshal(NetworkNone)
	case len(n) == 1 && (n[0] == NetworkAll || n[0] == NetworkNone):
		return json.Marshal(n[0])
	}
	return json.Marshal([]string(n))
}

// All tells whether everything may be reached, which is so where nothing is declared.
func (n Network) All() bool { return n == nil || len(n) == 1 && n[0] == NetworkAll }

// Hosts lists what may be reached; it is empty for all and none.
func (n Network) Hosts() []string {
	if n.All() || len(n) == 1 && n[0] == NetworkNone {
		return nil
	}
	return n
}
