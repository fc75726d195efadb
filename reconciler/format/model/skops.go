// A skops file is a zip whose schema.json is a tree of nodes; a node says which loader
// builds it, of which class of which module, and from which member. Loading imports
// and calls what the nodes name, so that what they may name is listed here, by loader:
// after skops 0.16's own lists of what it trusts, and narrower where that calls functions.

package model

import (
	"bufio"
	"path"
	"slices"
	"strings"

	"github.com/vishwaops/vishwa/reconciler/lazyregexp"
)

// dataTypes are the classes of Python's own that hold data.
var dataTypes = []string{
	"builtins.int", "builtins.float", "builtins.complex", "builtins.str", "builtins.bool", "builtins.bytes", "builtins.bytearray",
	"builtins.list", "builtins.tuple", "builtins.dict", "builtins.set", "builtins.frozenset", "builtins.slice", "builtins.range",
	"builtins.NoneType", "collections.OrderedDict", "collections.defaultdict",
	"datetime.datetime", "datetime.date", "datetime.time", "datetime.timedelta", "datetime.timezone", "zoneinfo.ZoneInfo",
}

// ufuncs are NumPy's functions of numbers alone.
var ufuncs = lazyregexp.New(`^numpy\.(absolute|add|arc(cos|sin|tan)h?|arctan2|bitwise_\w+|cbrt|ceil|conjugate|copysign|cosh?|deg2rad|degrees|divide|divmod|equal|exp2?|expm1|fabs|float_power|floor|floor_divide|fmax|fmin|fmod|frexp|gcd|greater|greater_equal|heaviside|hypot|invert|is(finite|inf|nan|nat)|lcm|ldexp|left_shift|less|less_equal|log|log10|log1p|log2|logaddexp2?|logical_\w+|matmul|matvec|maximum|minimum|modf|multiply|negative|nextafter|not_equal|positive|power|rad2deg|radians|reciprocal|remainder|right_shift|rint|sign|signbit|sinh?|spacing|sqrt|square|subtract|tanh?|trunc|vecdot|vecmat)$`)

var (
	dtypes      = lazyregexp.New(`^numpy\.(u?int\d*|u?longlong|u?long|float\d+|longdouble|complex\d+|clongdouble|bool_?|str_|bytes_|void|object_|datetime64|timedelta64|ndarray|dtype|matrix)$|^numpy\.ma(\.core)?\.MaskedArray$|^numpy\.dtypes\.\w+DType$`)
	special     = lazyregexp.New(`^scipy\.special\._(special_)?ufuncs\.\w+$`)
	estimators  = lazyregexp.New(`^sklearn(\.\w+)+\.\w*[A-Z]\w*$|^(xgboost\.sklearn|lightgbm\.sklearn|quantile_forest\._quantile_forest)\.[A-Z]\w*$`)
	foreignPart = lazyregexp.New(`\.(tests?|_?testing|externals|datasets|conftest|fixes)\.`)
	trees       = lazyregexp.New(`^sklearn\.(tree\._tree|neighbors\._(kd|ball)_tree|_loss\.\w+|linear_model\._sgd_fast|metrics\._dist_metrics|ensemble\._gb_losses|ensemble\._hist_gradient_boosting\.\w+)\.\w*[A-Z]\w*$|^quantile_forest\._quantile_forest_fast\.[A-Z]\w*$`)
	losses      = lazyregexp.New(`^_loss\.Cy(AbsoluteError|ExponentialLoss|Half(Binomial|Gamma|Multinomial|Poisson)Loss|HalfSquaredError|HalfTweedieLoss(Identity)?|HuberLoss|PinballLoss)$`) // as those of scikit-learn's wheels call themselves
	sparse      = lazyregexp.New(`^scipy\.sparse(\._\w+)?\.\w+$`)
	randoms     = lazyregexp.New(`^numpy\.random\.(mtrand\.RandomState|_generator\.Generator|RandomState|Generator|PCG64|PCG64DXSM|MT19937|Philox|SFC64)$`)
	plainNames  = lazyregexp.New(`^[A-Za-z_][\w.]*$`)
)

// loads tells whether a loader may build what a node names.
func loads(loader, name string) bool {
	data := slices.Contains(dataTypes, name)
	if !plainNames.MatchString(name) || foreignPart.MatchString(name) {
		return false
	}
	switch loader {
	case "JsonNode", "DictNode", "_DictWithDeprecatedKeysNode", "ListNode", "SetNode", "TupleNode", "SliceNode", "BytesNode", "BytearrayNode", "DefaultDictNode":
		return data || loader == "DictNode" && name == "sklearn.utils._bunch.Bunch"
	case "NdArrayNode", "DTypeNode", "MaskedArrayNode":
		return dtypes.MatchString(name)
	case "TypeNode":
		return data || dtypes.MatchString(name)
	case "FunctionNode":
		return ufuncs.MatchString(name) || special.MatchString(name)
	case "ObjectNode":
		return data || estimators.MatchString(name) || trees.MatchString(name) || randoms.MatchString(name) || dtypes.MatchString(name)
	case "ConstructorFromReduceNode":
		return data || strings.HasPrefix(name, "sklearn._loss.") && estimators.MatchString(name)
	case "TreeNode", "QuantileForestNode":
		return trees.MatchString(name)
	case "LossNode":
		return trees.MatchString(name) || losses.MatchString(name)
	case "SparseMatrixNode":
		return sparse.MatchString(name)
	case "RandomStateNode", "RandomGeneratorNode":
		return randoms.MatchString(name)
	case "CachedNode":
		return data
	default: // calls functions or methods by name, or is not known
		return false
	}
}

// skops reads the schema: its nodes name only what may be built, and only members that
// are there and hold plain arrays; and there is no member that it does not name.
func (s *scan) skops(f file, members []member, kinds map[string]string) string {
	named, nodes, foreign := map[string]bool{"schema.json": true}, 0, false
	at := slices.IndexFunc(members, func(m member) bool { return m.name == "schema.json" })
	schema := f.open(members[at])
	read := jsonReader{src: bufio.NewReaderSize(schema.part(0, schema.size), 64<<10), visit: func(_ int, o *object) {
		if !o.has("__class__") && !o.has("__module__") && !o.has("__loader__") {
			foreign = foreign || o.has("file")
			return
		}
		nodes++
		class, ok1 := o.one("__class__")
		module, ok2 := o.one("__module__")
		loader, ok3 := o.one("__loader__")
		if loader == "CachedNode" && !o.has("__class__") && !o.has("__module__") {
			class, module, ok1, ok2 = "NoneType", "builtins", true, true
		}
		if !ok1 || !ok2 || !ok3 || strings.Contains(class, ".") || !loads(loader, module+"."+class) {
			foreign = true
		}
		if file, ok := o.one("file"); o.has("file") {
			if _, there := kinds[file]; !ok || !there || len(named) > maxMembers {
				foreign = true
				return
			}
			named[file] = true
		}
	}}
	if kinds["schema.json"] != JSON || !read.walk() || read.values != 1 || read.root != '{' {
		return Zip
	}
	for name, kind := range kinds {
		plain := kind == NumPy && (path.Ext(name) == ".npy" || path.Ext(name) == ".npz") || path.Ext(name) == ".bin" && (kind == Text || kind == Empty)
		if name != "schema.json" && (!plain || !named[name]) {
			return Zip
		}
	}
	if foreign || nodes == 0 {
		return SkopsForeign
	}
	return Skops
}
