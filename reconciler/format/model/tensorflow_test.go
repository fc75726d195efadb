// What TensorFlow itself writes and knows: run by make test-tensorflow, which installs it.

package model

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tensorflow runs a program of Python that has TensorFlow, in a folder of its own.
func tensorflow(t *testing.T, program string) (dir, said string) {
	t.Helper()
	python := os.Getenv("VISHWA_TENSORFLOW")
	if python == "" {
		t.Skip("run make test-tensorflow")
	}
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "program.py"), []byte(program), 0o600); err != nil { // it reads the source of functions
		t.Fatal(err)
	}
	cmd := exec.Command(python, "program.py")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "TF_CPP_MIN_LOG_LEVEL=3")
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	return dir, string(out)
}

// TestTensorFlowsModelsAreKnown: what its users save and export is taken, and what calls Python or reads files is not.
func TestTensorFlowsModelsAreKnown(t *testing.T) {
	dir, _ := tensorflow(t, `
import keras, tensorflow as tf
class Words(tf.Module):
    def __init__(self, table):
        self.w, self.table = tf.Variable([[2.0], [3.0]]), table
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, s): return {"y": self.table.lookup(s)}
    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32)])
    def loop(self, x):
        for i in tf.range(3):
            x = tf.cond(tf.reduce_sum(x) > 0, lambda: x * 2.0, lambda: x + tf.random.stateless_uniform(tf.shape(x), [1, 2]))
        return {"y": tf.matmul(x, self.w)}
table = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(["a", "b"], [1.0, 2.0]), 0.0)
tf.saved_model.save(Words(table), "module")
dense = keras.Sequential([keras.Input((4,)), keras.layers.Normalization(), keras.layers.Dense(8, activation="gelu"), keras.layers.Dropout(0.2), keras.layers.BatchNormalization(), keras.layers.Dense(1)])
dense.export("keras", verbose=False)
image = keras.Sequential([keras.Input((16, 16, 3)), keras.layers.Conv2D(4, 3), keras.layers.MaxPool2D(), keras.layers.Flatten(), keras.layers.Dense(3, activation="softmax")])
image.export("image", verbose=False)
text = keras.Sequential([keras.Input((None,), dtype="int32"), keras.layers.Embedding(50, 4), keras.layers.LSTM(4), keras.layers.Dense(1)])
text.export("text", verbose=False)
attention = keras.Input((5, 8))
keras.Model(attention, keras.layers.MultiHeadAttention(2, 4)(attention, attention)).export("attention", verbose=False)

class Python(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([], tf.float32)])
    def __call__(self, x): return tf.numpy_function(lambda v: v, [x], tf.float32)
tf.saved_model.save(Python(), "not-python")
class Reads(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def __call__(self, x): return tf.io.read_file(x)
tf.saved_model.save(Reads(), "not-reads")
class Prints(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def __call__(self, x):
        tf.print(x, output_stream="file:///tmp/x")
        return x
tf.saved_model.save(Prints(), "not-prints")
open("words", "w").write("a\t1\nb\t2\n")
tf.saved_model.save(Words(tf.lookup.StaticHashTable(tf.lookup.TextFileInitializer("words", tf.string, 0, tf.int64, 1), -1)), "not-file")
class Restores(tf.Module):
    @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
    def __call__(self, x): return tf.raw_ops.RestoreV2(prefix=x, tensor_names=["w"], shape_and_slices=[""], dtypes=[tf.float32])[0]
tf.saved_model.save(Restores(), "not-restores")
`)
	for _, want := range []struct{ folder, format string }{
		{"module", SavedModel}, {"keras", SavedModel}, {"image", SavedModel}, {"text", SavedModel}, {"attention", SavedModel},
		{"not-python", SavedModelOps}, {"not-reads", SavedModelOps}, {"not-prints", SavedModelOps}, {"not-file", SavedModelOps}, {"not-restores", SavedModelOps},
	} {
		files := map[string][]byte{}
		err := filepath.WalkDir(filepath.Join(dir, want.folder), func(path string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				rel, _ := filepath.Rel(dir, path)
				files[rel], err = os.ReadFile(path)
			}
			return err
		})
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", want.folder, len(files), err)
		}
		for name, got := range folder(t, files) {
			expect := SavedModelData
			if filepath.Base(name) == "saved_model.pb" {
				expect = want.format
			} else if want.format != SavedModel {
				continue
			}
			if got != expect {
				t.Errorf("%s is %s, want %s", name, got, expect)
			}
		}
	}
}

// TestTensorFlowHasEachOperatorOfTheList, in one of its modules whose operators compute.
func TestTensorFlowHasEachOperatorOfTheList(t *testing.T) {
	_, said := tensorflow(t, `
import importlib, pkgutil, re
import tensorflow.python.ops as ops
for m in pkgutil.iter_modules(ops.__path__):
    if m.name.startswith("gen_"):
        src = open(importlib.import_module("tensorflow.python.ops." + m.name).__file__).read()
        for op in re.findall(r'_execute\.execute\(b"(\w+)"', src): print(op, m.name[4:].replace("_ops", ""))
`)
	module := map[string]string{}
	for line := range strings.Lines(said) {
		op, of, _ := strings.Cut(strings.TrimSpace(line), " ")
		module[op] = of
	}
	computes := strings.Fields(`array bitwise control_flow count ctc functional image linalg list lookup manip map math nn parsing ragged_array
		ragged_conversion ragged_math random resource_variable rnn set sparse special_math spectral stateful_random stateless_random
		stateless_random_v2 string uniform_quant`)
	// Of other modules: what a graph that was traced checks and gathers by, and the name of a part of a file.
	more := []string{"Assert", "ShardedFilename", "DynamicStitch", "ParallelDynamicStitch", "DynamicPartition"}
	for op := range savedOps {
		if of := module[op]; !slices.Contains(computes, of) && !slices.Contains(more, op) && !strings.HasPrefix(op, "TensorArray") || of == "" {
			t.Errorf("%s is of the module %q", op, of)
		}
	}
	for _, op := range savedFiles {
		if module[op] != "io" {
			t.Errorf("%s is of the module %q", op, module[op])
		}
	}
}
