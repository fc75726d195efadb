// What of a machine's the declarations of one repository may use: several repositories share a controller's environment, its
// credentials and its folders, and whoever may commit to one is not to have what is another's.

package port

// Bounds refuse what the owner of a machine does not let a repository's declarations have. What they refuse is Denied, with what
// is to be added where.
type Bounds interface {
	// Variable refuses to pass a variable of the machine's environment to what a declaration runs.
	Variable(name string) error
	// Token refuses to send the value of a variable to an address that a declaration names, such as https://host/path.
	Token(name, address string) error
	// Place refuses a place that a declaration names and this machine's credentials or rights open: s3://BUCKET/KEY, or at an endpoint
	// of its own https://HOST/BUCKET/KEY; oci://REGISTRY/NAME; the address of a repository of Git; or a folder.
	Place(address string) error
	// Network refuses a run that may reach all that the machine does.
	Network(all bool) error
}

// MayPass refuses the first of the variables that may not be passed on.
func (e Env) MayPass(names ...string) error {
	if e.Bounds == nil {
		return nil
	}
	for _, name := range names {
		if err := e.Bounds.Variable(name); err != nil {
			return err
		}
	}
	return nil
}

// MayReach refuses a run that may reach all that the machine does.
func (e Env) MayReach(all bool) error {
	if e.Bounds == nil {
		return nil
	}
	return e.Bounds.Network(all)
}

// MaySend refuses to send a variable's value to an address.
func (e Env) MaySend(name, address string) error {
	if e.Bounds == nil {
		return nil
	}
	return e.Bounds.Token(name, address)
}

// MayUse refuses a place that this machine's credentials or rights open.
func (e Env) MayUse(address string) error {
	if e.Bounds == nil {
		return nil
	}
	return e.Bounds.Place(address)
}
