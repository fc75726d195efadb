// Hands: who a commit says that it is by, and whose key says so too.

package port

// Hand is who had a hand in a commit. What it claims proves nothing; a signature does.
type Hand struct {
	SHA               string   // "": no commit, but For alone
	Author, Committer string   // "Name <email>"
	With              []string // co-authors, as they are written
	For               []string // whoever asked for it, opened it or pushed it: github:LOGIN
	// Key is the SSH public key whose signature over the commit holds, as SSH writes it on
	// the wire; nil: there is none.
	Key []byte
}
