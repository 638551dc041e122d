package persistence_test

import (
	"testing"

	"sibyl/persistence/persistencetest"
)

func TestMain(m *testing.M) { persistencetest.Main(m) }
