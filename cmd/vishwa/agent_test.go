// The agent that has a person's SSH key is another program: it may hang.

package main

import (
	"crypto/ed25519"
	"net"
	"testing"
	"time"

	"golang.org/x/crypto/ssh/agent"
)

// TestAnAgentThatHangsIsNotWaitedFor: the key is looked for in its file then. One that answers has all the time to ask a person.
func TestAnAgentThatHangsIsNotWaitedFor(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	if found := agentKeys(ours, 50*time.Millisecond); len(found) != 0 {
		t.Errorf("it has %d keys", len(found))
	}
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	ring := agent.NewKeyring()
	if err := ring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
		t.Fatal(err)
	}
	ours, theirs = net.Pipe()
	defer theirs.Close()
	go agent.ServeAgent(ring, theirs)
	const within = 2 * time.Second
	found := agentKeys(ours, within)
	if len(found) != 1 {
		t.Fatalf("it has %d keys", len(found))
	}
	time.Sleep(within + 100*time.Millisecond) // a person looks for the token
	if _, err := found[0].Sign(nil, []byte("a plan")); err != nil {
		t.Error(err)
	}
}
