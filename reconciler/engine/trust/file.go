// trust.yaml as people write it. The reader goes node by node, so that every problem has
// a place; this says the same as Go types, from which the JSON Schema and the page of the
// file are made. A test of cmd/internal/generate holds the two together.

package trust

// File says whose approvals and signatures count in this repository. It lies at the repository's root, or where spec.trust of the project says. The file of the tracked branch counts, so a change of it takes a reviewed commit.
type File struct {
	// APIVersion is the version of the file's format.
	APIVersion string `json:"apiVersion" jsonschema:"required"`
	// Kind says what the file is.
	Kind string `json:"kind" jsonschema:"required"`
	// Principals maps a name to a person.
	Principals map[string]PersonFields `json:"principals,omitempty"`
	// Controllers maps a name to a running Vishwa, whose keys sign what it builds, deploys, refuses and records.
	Controllers map[string]ControllerFields `json:"controllers,omitempty"`
}

// PersonFields is a person, and how that person is known.
type PersonFields struct {
	// Emails lists the addresses that this person commits with. Nobody's approval counts for a change of their own.
	Emails []string `json:"emails,omitempty"`
	// SSH lists public keys, each one line as in authorized_keys without options. An approval is a signature by one of them.
	SSH []string `json:"ssh,omitempty"`
	// Forge says who this person is on a forge.
	Forge *ForgeFields `json:"forge,omitempty"`
	// Roles lists what this person may do, such as approver. An environment names the roles whose approval counts.
	Roles []string `json:"roles,omitempty"`
	TermFields
}

// ForgeFields says who a person is on a forge.
type ForgeFields struct {
	// GitHub is the login.
	GitHub string `json:"github,omitempty"`
}

// ControllerFields is a running Vishwa. vishwa keys generate makes its keys and writes the public halves here.
type ControllerFields struct {
	// SSH is the public key that the ledger's commits and checkpoints are signed with.
	SSH string `json:"ssh" jsonschema:"required"`
	// Keys are the public keys for what it builds, deploys and refuses.
	Keys *RoleKeys `json:"keys,omitempty"`
	TermFields
}

// RoleKeys are PEM blocks of ECDSA P-256 public keys, as cosign writes them.
type RoleKeys struct {
	// Build signs models and what they were made of.
	Build string `json:"build,omitempty"`
	// Deploy signs releases.
	Deploy string `json:"deploy,omitempty"`
	// Refuse signs refusals.
	Refuse string `json:"refuse,omitempty"`
}

// TermFields says when somebody's word counts; it is held against the place on the ledger at which something was signed.
type TermFields struct {
	// ValidFrom is the day (2026-01-31) or moment (2026-01-31T12:00:00Z) from which on it counts.
	ValidFrom string `json:"validFrom,omitempty"`
	// ValidUntil is the last day that counts, or the moment from which on it does not.
	ValidUntil string `json:"validUntil,omitempty"`
	// Revoked ends it at a place on the ledger, whatever any clock says.
	Revoked *RevokedFields `json:"revoked,omitempty"`
}

// RevokedFields ends somebody's word.
type RevokedFields struct {
	// After is the number of the last entry that counts, as vishwa log shows it.
	After int64 `json:"after" jsonschema:"required,minimum=0"`
	// Reason is for people.
	Reason string `json:"reason" jsonschema:"required"`
}
