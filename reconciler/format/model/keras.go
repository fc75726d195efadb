// Keras's configuration, as JSON, as YAML or in an archive: it names classes, which are
// imported, and functions, which are called.

package model

import "strings"

// worse is the graver of two findings; none is "".
func worse(a, b string) string {
	if a == KerasLambda || b == "" {
		return a
	}
	return b
}

// kerasOf says what an object would be to Keras, which builds every one that has a
// class_name and a config, at any depth. Its own modules are Keras; what names
// Python bytecode, or code of another module, is KerasLambda.
func kerasOf(o *object) string {
	if !o.has("class_name") || !o.has("config") && !o.has("registered_name") && !o.has("module") {
		return ""
	}
	class, ok := o.one("class_name")
	if !ok || strings.HasSuffix(class, "Lambda") || strings.Contains(class, "__lambda__") || class == "function" || class == "__typespec__" {
		return KerasLambda
	}
	module, one := o.one("module")
	if o.has("module") && !(o.odd[o.index("module")] && o.times[o.index("module")] == 1) &&
		(!one || module != "keras" && module != "builtins" && !strings.HasPrefix(module, "keras.") && !strings.HasPrefix(module, "tensorflow.")) {
		return KerasLambda
	}
	if name, ok := o.one("registered_name"); ok && strings.Contains(name, ">") {
		return KerasLambda // a class that somebody registered
	}
	return Keras
}
