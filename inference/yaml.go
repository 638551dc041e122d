package inference

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// These read one value of a configuration, with no conversion between types: "yes" is no boolean and 5 is no name.

func yamlString(node ast.Node) (string, error) {
	text, ok := node.(*ast.StringNode)
	if !ok || text.Value == "" {
		return "", errors.New("is not a string")
	}
	return text.Value, nil
}

// yamlText reads a string that may be empty.
func yamlText(node ast.Node) (*string, error) {
	text, ok := node.(*ast.StringNode)
	if !ok {
		return nil, errors.New(`is not a string: write "1" for a number`)
	}
	return &text.Value, nil
}

// yamlRemote reads grpc://host:port, or grpcs:// for TLS. Its errors do not tell the URL, which may hold a password.
func yamlRemote(node ast.Node) (target string, tls bool, err error) {
	text, err := yamlString(node)
	if err != nil {
		return "", false, err
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "grpc" && u.Scheme != "grpcs" || u.Hostname() == "" || u.Port() == "" {
		return "", false, errors.New("is not grpc://host:port, or grpcs://host:port for TLS")
	}
	if u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", false, errors.New("has more than host and port")
	}
	return u.Host, u.Scheme == "grpcs", nil
}

func yamlBool(node ast.Node) (bool, error) {
	truth, ok := node.(*ast.BoolNode)
	if !ok {
		return false, errors.New("is neither true nor false")
	}
	return truth.Value, nil
}

func yamlCount(node ast.Node) (int, error) {
	number, ok := node.(*ast.IntegerNode)
	if !ok {
		return 0, errors.New("is not a whole number")
	}
	n, ok := number.Value.(uint64)
	if !ok || n > math.MaxInt32 {
		return 0, fmt.Errorf("%v is not in 0…%d", number.Value, math.MaxInt32)
	}
	return int(n), nil
}

// yamlSmall reads a number from 1 up to a bound.
func yamlSmall(node ast.Node, most int) (int, error) {
	n, err := yamlCount(node)
	if err == nil && (n < 1 || n > most) {
		err = fmt.Errorf("%d is not in 1…%d", n, most)
	}
	return n, err
}

func yamlFloat(node ast.Node) (float64, error) {
	switch number := node.(type) {
	case *ast.FloatNode:
		if math.IsInf(number.Value, 0) || math.IsNaN(number.Value) {
			return 0, errors.New("is not finite")
		}
		return number.Value, nil
	case *ast.IntegerNode:
		switch n := number.Value.(type) {
		case uint64:
			return float64(n), nil
		case int64:
			return float64(n), nil
		}
	}
	return 0, errors.New("is not a number")
}

func yamlScale(node ast.Node) (*float64, error) {
	scale, err := yamlFloat(node)
	if err == nil && scale == 0 {
		err = errors.New("0 would make every image the same")
	}
	return &scale, err
}

// yamlFloats reads a list of numbers, or one.
func yamlFloats(node ast.Node) ([]float64, error) {
	list, ok := node.(*ast.SequenceNode)
	if !ok {
		number, err := yamlFloat(node)
		return []float64{number}, err
	}
	if len(list.Values) == 0 {
		return nil, errors.New("is an empty list")
	}
	numbers := make([]float64, len(list.Values))
	for i, value := range list.Values {
		var err error
		if numbers[i], err = yamlFloat(value); err != nil {
			return nil, fmt.Errorf("value %d %w", i+1, err)
		}
	}
	return numbers, nil
}

func yamlNonzero(node ast.Node) ([]float64, error) {
	numbers, err := yamlFloats(node)
	if err == nil && slices.Contains(numbers, 0) {
		err = errors.New("0 cannot be divided by")
	}
	return numbers, err
}

// yamlSize reads height and width.
func yamlSize(node ast.Node) ([]int, error) {
	list, ok := node.(*ast.SequenceNode)
	if !ok || len(list.Values) != 2 {
		return nil, errors.New("is not a list of height and width")
	}
	size := make([]int, 2)
	for i, value := range list.Values {
		n, err := yamlCount(value)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, errors.New("0 is no height or width")
		}
		size[i] = n
	}
	return size, nil
}

// yamlEnum reads one of the words.
func yamlEnum[T ~string](node ast.Node, target *T, words []T) error {
	word, err := yamlString(node)
	if err != nil {
		return err
	}
	if !slices.Contains(words, T(word)) {
		names := make([]string, len(words))
		for i, name := range words {
			names[i] = string(name)
		}
		return fmt.Errorf("%q is none of %s", word, strings.Join(names, ", "))
	}
	*target = T(word)
	return nil
}
