package inference

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// labelKeys are the metadata_props of an ONNX file in which exporters leave class names, the likeliest first: `names`
// is Ultralytics', `id2label` Hugging Face's, `class_to_idx` torchvision's, the others are usual. Case is ignored.
var labelKeys = []string{
	"labels", "class_names", "classes", "names", "class_labels", "classlabels", "label_names", "categories",
	"id2label", "idx_to_class", "label2id", "class_to_idx",
}

// labels are the names of so many classes that the file itself tells; nil where it does not.
func (m *onnxModel) labels(classes int) []string {
	if labels := metadataLabels(m.metadata, classes); labels != nil || !areLabels(m.classifier.labels, classes) {
		return labels
	}
	return m.classifier.labels
}

// metadataLabels finds the names of so many classes in a model's metadata_props; nil where there are none, or their
// number is another: nobody wrote them for this purpose, so that they are no reason to fail.
func metadataLabels(metadata map[string]string, classes int) []string {
	given := slices.Sorted(maps.Keys(metadata))
	for _, key := range labelKeys {
		for _, name := range given {
			if !strings.EqualFold(name, key) {
				continue
			}
			if labels := readLabels(strings.TrimSpace(metadata[name]), classes); labels != nil {
				return labels
			}
		}
	}
	return nil
}

// readLabels reads the names of so many classes in any of the usual forms.
func readLabels(text string, classes int) []string {
	if text == "" {
		return nil
	}
	readers := []func(string) []string{lineLabels, commaLabels}
	if strings.ContainsAny(text[:1], "[{(") {
		readers = []func(string) []string{jsonLabels, pythonLabels}
	}
	for _, read := range readers {
		if labels := read(text); areLabels(labels, classes) {
			return labels
		}
	}
	return nil
}

// areLabels tells whether there is a name for each of so many classes.
func areLabels(labels []string, classes int) bool {
	isNone := func(label string) bool {
		return label == "" || !utf8.ValidString(label) || strings.ContainsRune(label, 0)
	}
	return classes > 1 && len(labels) == classes && !slices.ContainsFunc(labels, isNone)
}

// jsonLabels reads a JSON array of names, or an object of names by index or of indices by name.
func jsonLabels(text string) []string {
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.UseNumber()
	var value any
	if decoder.Decode(&value) != nil {
		return nil
	}
	word := func(value any) string {
		switch value := value.(type) {
		case string:
			return value
		case json.Number:
			return value.String()
		}
		return ""
	}
	switch value := value.(type) {
	case []any:
		labels := make([]string, len(value))
		for i := range value {
			labels[i] = word(value[i])
		}
		return labels
	case map[string]any:
		var pairs []string
		for key := range value {
			pairs = append(pairs, key, word(value[key]))
		}
		return inOrder(pairs)
	}
	return nil
}

// pythonWord is a string or a whole number as Python prints it.
var pythonWord = regexp.MustCompile(`'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"|(-?\d+)`)

// pythonLabels reads, as Python prints them, a list or a tuple of names, or a dictionary as jsonLabels does.
func pythonLabels(text string) []string {
	var words []string
	for _, word := range pythonWord.FindAllStringSubmatch(text, -1) {
		words = append(words, unescapePython.Replace(word[1]+word[2])+word[3])
	}
	if strings.HasPrefix(text, "{") {
		return inOrder(words)
	}
	return words
}

var unescapePython = strings.NewReplacer(`\'`, `'`, `\"`, `"`, `\\`, `\`)

// inOrder makes a list of names from pairs of an index and a name, or of a name and an index; nil where an index is
// missing.
func inOrder(pairs []string) []string {
	for first := range 2 {
		labels := make([]string, len(pairs)/2)
		for i := 0; i+1 < len(pairs); i += 2 {
			index, err := strconv.Atoi(pairs[i+first])
			if err != nil || index < 0 || index >= len(labels) {
				break
			}
			labels[index] = pairs[i+1-first]
		}
		if !slices.Contains(labels, "") {
			return labels
		}
	}
	return nil
}

func lineLabels(text string) []string { return trimmedFields(text, "\n") }

func commaLabels(text string) []string { return trimmedFields(text, ",") }

func trimmedFields(text, separator string) []string {
	labels := strings.Split(strings.TrimSpace(text), separator)
	for i, label := range labels {
		labels[i] = strings.TrimSpace(label)
	}
	return labels
}
