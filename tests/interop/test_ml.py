"""Operators of domain ai.onnx.ml against ONNX Runtime."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from support import expect_near, ort_run

TYPES = {
    np.dtype(np.float32): TensorProto.FLOAT,
    np.dtype(np.float64): TensorProto.DOUBLE,
    np.dtype(np.int32): TensorProto.INT32,
    np.dtype(np.int64): TensorProto.INT64,
}


def compare(tool, op, inputs, output=TensorProto.FLOAT, **attributes):
    names = [f"x{i}" for i in range(len(inputs))]
    node = helper.make_node(op, names, ["y"], domain="ai.onnx.ml", **attributes)
    infos = [
        helper.make_tensor_value_info(n, TYPES[v.dtype], v.shape) for n, v in zip(names, inputs)
    ]
    result = helper.make_tensor_value_info("y", output, None)
    graph = helper.make_graph([node], "one", infos, [result])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    path = tool.path(".onnx")
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    path.write_bytes(model.SerializeToString())
    feed = dict(zip(names, inputs))
    expected = ort_run(path, feed)["y"]
    for level in (0, 2):
        actual = tool.run(path, feed, "--optimize", level)["y"]
        assert actual.dtype == expected.dtype, f"{op}: {actual.dtype}"
        expect_near(f"{op} {attributes}", actual, expected, 1e-5)


def rows(dtype):
    x = np.random.default_rng(1).uniform(-5, 5, (4, 3))
    x[1] = 0
    return x.astype(dtype)


def test_features(tool):
    for dtype in TYPES:
        x = rows(dtype)
        for norm in ("MAX", "L1", "L2"):
            compare(tool, "Normalizer", [x], norm=norm)
        compare(tool, "Scaler", [x], offset=[1.0, -2.0, 0.5], scale=[0.5, 2.0, -1.0])
        compare(tool, "Scaler", [x], offset=[1.5], scale=[0.5])
        compare(tool, "FeatureVectorizer", [x, x[:, :2].copy()], inputdimensions=[2, 4])
    x = rows(np.float32)
    compare(tool, "Normalizer", [x[0]], norm="L2")
    compare(tool, "Binarizer", [x], threshold=0.5)
    columns = np.array([[2, 0, 2, 1]], np.int64)
    compare(tool, "ArrayFeatureExtractor", [x, columns])
    compare(tool, "ArrayFeatureExtractor", [x[0], columns])
    compare(tool, "ArrayFeatureExtractor", [x.reshape(2, 2, 3), columns])
    integers = rows(np.int64)
    compare(tool, "ArrayFeatureExtractor", [integers, columns], TensorProto.INT64)


def test_regression(tool):
    x, w = rows(np.float32), [0.1, -0.2, 0.3, 0.4, 0.5, -0.6]
    compare(tool, "LinearRegressor", [x], coefficients=w[:3])
    for transform in ("NONE", "LOGISTIC", "SOFTMAX"):
        compare(
            tool, "LinearRegressor", [x], coefficients=w, intercepts=[0.25, -0.5], targets=2,
            post_transform=transform,
        )  # fmt: skip


def compare_all(tool, nodes, x, outputs, version=3):
    """Nodes that all read x, in one file. Strings exactly, numbers nearly."""
    infos = [helper.make_tensor_value_info("x", TYPES[x.dtype], x.shape)]
    results = [helper.make_tensor_value_info(n, t, None) for n, t in outputs]
    graph = helper.make_graph(nodes, "many", infos, results)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", version)]
    path = tool.path(".onnx")
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    path.write_bytes(model.SerializeToString())
    expected, actual = ort_run(path, {"x": x}), tool.run(path, {"x": x})
    for name, _ in outputs:
        e, a = np.asarray(expected[name]), np.asarray(actual[name])
        text = e.dtype == object
        same = list(a.ravel()) == list(e.ravel()) if text else np.allclose(
            a, e, 1e-4, 1e-5, equal_nan=True
        )  # fmt: skip
        assert a.shape == e.shape and same, f"{name}: {a}\nexpected {e}\n{nodes}"


MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]


def random_trees(rng, features):
    """Attributes of some trees, and their leaves as (tree, node)."""
    names = "nodeids treeids featureids modes values truenodeids falsenodeids"
    nodes = {f"nodes_{n}": [] for n in [*names.split(), "missing_value_tracks_true"]}
    leaves = []

    def grow(tree, depth, taken):
        row, node = len(nodes["nodes_nodeids"]), taken[0]
        taken[0] += 1
        leaf = depth == 0 or rng.random() < 0.25
        values = [
            node, tree, int(rng.integers(features)), "LEAF" if leaf else str(rng.choice(MODES)),
            float(rng.integers(-2, 3)) / 2, 0, 0, int(rng.integers(2)),
        ]  # fmt: skip
        for column, value in zip(nodes.values(), values):
            column.append(value)
        if leaf:
            leaves.append((tree, node))
        else:
            nodes["nodes_truenodeids"][row] = grow(tree, depth - 1, taken)
            nodes["nodes_falsenodeids"][row] = grow(tree, depth - 1, taken)
        return node

    for tree in range(int(rng.integers(1, 5))):
        grow(tree, int(rng.integers(1, 4)), [0])
    return nodes, leaves


def random_weights(rng, leaves, classes, kind):
    """Rows (tree, node, class, weight): of any class, of all, of the last, of the first only."""
    for tree, node in leaves:
        if kind == 1:
            yield from ((tree, node, c, rng.uniform(0, 1)) for c in range(classes))
        else:
            c = (int(rng.integers(classes)), 0, min(classes - 1, 1), 0)[kind]
            yield tree, node, c, rng.uniform((-1, 0, -0.3, 0)[kind], 1)


def random_forest(rng, index, classifier):
    classes, kind = int(rng.integers(1, 4)), int(rng.integers(4))
    nodes, leaves = random_trees(rng, 4)
    rows = list(random_weights(rng, leaves, classes, kind))
    prefix = "class" if classifier else "target"
    for column, key in enumerate(("treeids", "nodeids", "ids", "weights")):
        nodes[f"{prefix}_{key}"] = [r[column] for r in rows]
    transforms = ["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"]
    nodes["post_transform"] = str(rng.choice(transforms))
    if rng.random() < 0.5:
        nodes["base_values"] = [0.25, -0.5, 0.1][:classes]
    if not classifier:
        aggregate = str(rng.choice(["SUM", "AVERAGE", "MIN", "MAX"]))
        nodes |= {"n_targets": classes, "aggregate_function": aggregate}
        return nodes, [(f"z{index}", TensorProto.FLOAT)]
    strings = classes > 1 and rng.random() < 0.5
    nodes |= {"classlabels_strings": list("abc")[:classes]} if strings else {
        "classlabels_int64s": [5, 7, 9][:classes]
    }  # fmt: skip
    label = TensorProto.STRING if strings else TensorProto.INT64
    return nodes, [(f"y{index}", label), (f"z{index}", TensorProto.FLOAT)]


def test_random_forests(tool):
    rng = np.random.default_rng(3)
    for dtype in (np.float32, np.float64, np.int64, np.int32):
        x = (rng.integers(-4, 5, (6, 4)) / 2).astype(dtype)
        if np.issubdtype(dtype, np.floating):
            x[0, 0] = np.nan
        nodes, outputs = [], []
        for index in range(60):
            classifier = index % 2 == 0 or not np.issubdtype(dtype, np.floating)
            attributes, names = random_forest(rng, index, classifier)
            op = "TreeEnsembleClassifier" if classifier else "TreeEnsembleRegressor"
            names_only = [n for n, _ in names]
            nodes.append(
                helper.make_node(op, ["x"], names_only, domain="ai.onnx.ml", **attributes)
            )
            outputs += names
        compare_all(tool, nodes, x, outputs)


def test_tree_ensemble(tool):
    """Version 5: nodes and leaves apart, and sets of members."""
    for dtype, kind in ((np.float32, TensorProto.FLOAT), (np.float64, TensorProto.DOUBLE)):
        x = (np.random.default_rng(5).integers(0, 6, (12, 3))).astype(dtype)
        numbers = lambda name, v: helper.make_tensor(name, kind, [len(v)], v)  # noqa: E731
        modes = helper.make_tensor("m", TensorProto.UINT8, [4], [0, 6, 3, 6])
        for transform in (0, 3, 4):  # ONNX Runtime takes 1 for logistic, 2 for softmax
            for aggregate in range(4):
                node = helper.make_node(
                    "TreeEnsemble", ["x"], ["y"], domain="ai.onnx.ml", n_targets=2,
                    aggregate_function=aggregate, post_transform=transform, tree_roots=[0, 3],
                    nodes_modes=modes, nodes_splits=numbers("s", [2.0, 0.0, 1.5, 0.0]),
                    nodes_featureids=[0, 1, 2, 0], nodes_truenodeids=[1, 0, 2, 3],
                    nodes_trueleafs=[0, 1, 1, 1], nodes_falsenodeids=[2, 1, 0, 4],
                    nodes_falseleafs=[0, 1, 1, 1],
                    membership_values=numbers("v", [1.0, 3.0, 4.0, np.nan, 0.0, 5.0, np.nan]),
                    leaf_targetids=[0, 1, 0, 1, 0],
                    leaf_weights=numbers("w", [0.25, 0.5, 0.75, 0.1, 0.4]),
                )  # fmt: skip
                compare_all(tool, [node], x, [("y", kind)], 5)


def test_linear_classifier(tool):
    x, w = rows(np.float32), [0.1, -0.2, 0.3, 0.4, 0.5, -0.6, 0.7, -0.1, 0.2]
    nodes, outputs = [], []
    for classes, given in ((3, 3), (2, 2), (2, 1)):
        for transform in ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"):
            for strings in (False, True):
                names = [f"y{len(nodes)}", f"z{len(nodes)}"]
                labels = {"classlabels_strings": list("abc")[:classes]} if strings else {
                    "classlabels_ints": [4, 2, 9][:classes]
                }  # fmt: skip
                nodes.append(
                    helper.make_node(
                        "LinearClassifier", ["x"], names, domain="ai.onnx.ml",
                        coefficients=w[: 3 * given], intercepts=[0.3, -0.2, 0.1][:given],
                        post_transform=transform, **labels,
                    )  # fmt: skip
                )
                label = TensorProto.STRING if strings else TensorProto.INT64
                outputs += [(names[0], label), (names[1], TensorProto.FLOAT)]
    compare_all(tool, nodes, x, outputs)


def random_svm(rng, kernel, classes, transform, probabilities):
    counts = [int(n) for n in rng.integers(1, 4, classes)]
    pairs, vectors = classes * (classes - 1) // 2, sum(counts)
    floats = lambda n: [float(v) for v in rng.uniform(-1, 1, n)]  # noqa: E731
    attributes = {
        "kernel_type": kernel, "kernel_params": [0.3, 0.2, 3.0], "post_transform": transform,
        "coefficients": floats((classes - 1) * vectors), "support_vectors": floats(3 * vectors),
        "rho": floats(pairs), "vectors_per_class": counts,
    }  # fmt: skip
    if probabilities:
        attributes |= {"prob_a": floats(pairs), "prob_b": floats(pairs)}
    return attributes


def test_svm(tool):
    rng, x = np.random.default_rng(7), rows(np.float32)
    nodes, outputs = [], []

    def add(op, **attributes):
        names = [f"z{len(nodes)}"] if op == "SVMRegressor" else [f"y{len(nodes)}", f"z{len(nodes)}"]
        nodes.append(helper.make_node(op, ["x"], names, domain="ai.onnx.ml", **attributes))
        kinds = [TensorProto.FLOAT]
        if len(names) == 2:
            strings = "classlabels_strings" in attributes
            kinds.insert(0, TensorProto.STRING if strings else TensorProto.INT64)
        outputs.extend(zip(names, kinds))

    for kernel in ("LINEAR", "POLY", "RBF", "SIGMOID"):
        for classes in (2, 3, 4):
            for transform in ("NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"):
                for probabilities in (False, True):
                    svm = random_svm(rng, kernel, classes, transform, probabilities)
                    labels = {"classlabels_ints": [4, 2, 9, 1][:classes]}
                    if probabilities:
                        labels = {"classlabels_strings": list("abcd")[:classes]}
                    add("SVMClassifier", **svm, **labels)
        svm = random_svm(rng, kernel, 2, "NONE", False)
        svm["n_supports"] = sum(svm.pop("vectors_per_class"))
        add("SVMRegressor", **svm)
        add("SVMRegressor", **svm, one_class=1)
    for classes in (2, 3):
        weights = [float(v) for v in rng.uniform(-1, 1, 3 * classes)]
        for signed in (weights, [abs(w) for w in weights]):
            add(
                "SVMClassifier", coefficients=signed, rho=[0.1], kernel_params=[0.0, 0.0, 0.0],
                classlabels_ints=[3, 5, 7][:classes],
            )  # fmt: skip
    compare_all(tool, nodes, x, outputs)


def test_encoders(tool):
    ints, strings = np.array([[1, 5], [7, 3]], np.int64), np.array([["a", "x"], ["b", "a"]])
    floats = np.array([[1.5, np.nan], [0.0, -2.0]], np.float32)
    TYPES[strings.dtype] = TensorProto.STRING
    wanted = {"strings": TensorProto.STRING, "int64s": TensorProto.INT64,
              "floats": TensorProto.FLOAT}  # fmt: skip
    keys = {"strings": (strings, ["a", "b", "a"]), "int64s": (ints, [5, 1, 5]),
            "floats": (floats, [1.5, float("nan"), -0.0])}  # fmt: skip
    values = {"strings": ["one", "two", "x"], "int64s": [10, 20, 30], "floats": [0.5, 1.5, 2.5]}
    for k, (x, given) in keys.items():
        for v, become in values.items():
            attributes = {f"keys_{k}": given, f"values_{v}": become}
            node = helper.make_node("LabelEncoder", ["x"], ["y"], domain="ai.onnx.ml", **attributes)
            for version in (2, 4):
                compare_all(tool, [node], x, [("y", wanted[v])], version)
    old = {"classes_strings": ["b", "a"], "default_int64": -7, "default_string": "none"}
    cats = {"cats_strings": ["b", "a"], "cats_int64s": [7, 1]}
    for x, kind in ((strings, TensorProto.INT64), (ints, TensorProto.STRING)):
        node = helper.make_node("LabelEncoder", ["x"], ["y"], domain="ai.onnx.ml", **old)
        compare_all(tool, [node], x, [("y", kind)], 1)
        node = helper.make_node("CategoryMapper", ["x"], ["y"], domain="ai.onnx.ml", **cats)
        compare_all(tool, [node], x, [("y", kind)])
    for x, key in ((strings, "cats_strings"), (ints, "cats_int64s"), (rows(np.float32), "cats_int64s")):
        node = helper.make_node(
            "OneHotEncoder", ["x"], ["y"], domain="ai.onnx.ml", **{key: cats[key]}
        )
        compare_all(tool, [node], x, [("y", TensorProto.FLOAT)])
    for replaced in (0.0, float("nan")):
        for imputed in ([9.0], [9.0, 8.0]):
            attributes = {"imputed_value_floats": imputed, "replaced_value_float": replaced}
            node = helper.make_node("Imputer", ["x"], ["y"], domain="ai.onnx.ml", **attributes)
            compare_all(tool, [node], floats, [("y", TensorProto.FLOAT)])
    attributes = {"imputed_value_int64s": [100, 200], "replaced_value_int64": 5}
    node = helper.make_node("Imputer", ["x"], ["y"], domain="ai.onnx.ml", **attributes)
    compare_all(tool, [node], ints, [("y", TensorProto.INT64)])


def map_model(tool, node, x, y):
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    graph = helper.make_graph([node], "maps", [x], [y])
    path = tool.path(".onnx")
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def test_maps(tool):
    element = helper.make_tensor_type_proto(TensorProto.FLOAT, [])
    for keys, key, field in ((["a", "b"], TensorProto.STRING, "strings"),
                             ([7, 3], TensorProto.INT64, "int64s")):  # fmt: skip
        kind = helper.make_map_type_proto(key, element)
        vocabulary = "string_vocabulary" if field == "strings" else "int64_vocabulary"
        missing = ["c"] if field == "strings" else [9]
        values = [np.float32(5), np.float32(6.75)]
        given = helper.make_map(
            "x", key, [k.encode() for k in keys] if field == "strings" else keys,
            helper.make_sequence("v", 1, [numpy_helper.from_array(v) for v in values]),
        )  # fmt: skip
        folder = tool.path("")
        folder.mkdir()
        (folder / "input_0.pb").write_bytes(given.SerializeToString())
        attributes = [("DictVectorizer", {vocabulary: missing + keys}, TensorProto.FLOAT)]
        if field == "int64s":
            for cast, output in (("FLOAT", 1), ("INT64", 7), ("STRING", 8)):
                for form in ("DENSE", "SPARSE"):
                    node = {"cast_to": f"TO_{cast}", "map_form": form, "max_map": 5}
                    attributes.append(("CastMap", node, output))
        for op, given, output in attributes:
            node = helper.make_node(op, ["x"], ["y"], domain="ai.onnx.ml", **given)
            x = helper.make_value_info("x", kind)
            path = map_model(tool, node, x, helper.make_tensor_value_info("y", output, None))
            expected = ort_run(path, {"x": dict(zip(keys, map(float, values)))})["y"]
            out = tool.path(".npz")
            tool("run", path, "-i", folder, "-o", out)
            actual = np.load(out)["y"]
            assert actual.shape == expected.shape, f"{op}: {actual}"
            assert list(actual.ravel()) == list(expected.ravel()), f"{op} {given}: {actual}"
        node = helper.make_node("ZipMap", ["x"], ["y"], domain="ai.onnx.ml",
                                **{f"classlabels_{field}": keys})  # fmt: skip
        y = helper.make_value_info("y", helper.make_sequence_type_proto(kind))
        path = map_model(tool, node, helper.make_tensor_value_info("x", 1, [3, 2]), y)
        expect_maps(tool.run(path, {"x": rows(np.float32)[:3, :2]}), "y",
                    ort_run(path, {"x": rows(np.float32)[:3, :2]})["y"])  # fmt: skip


def expect_maps(arrays, name, expected):
    for row, wanted in enumerate(expected):
        keys = arrays[f"{name}/{row}/keys"].tolist()
        found = {k: arrays[f"{name}/{row}/{i}"].item() for i, k in enumerate(keys)}
        assert found.keys() == wanted.keys(), f"{found}, expected {wanted}"
        assert all(abs(found[k] - wanted[k]) < 1e-5 for k in keys), f"{found}, expected {wanted}"


def classifiers():
    from sklearn import ensemble, linear_model, naive_bayes, neighbors, neural_network, svm, tree

    forest = {"n_estimators": 8, "max_depth": 4, "random_state": 0}
    return [
        tree.DecisionTreeClassifier(max_depth=4, random_state=0),
        ensemble.RandomForestClassifier(**forest),
        ensemble.ExtraTreesClassifier(**forest),
        ensemble.GradientBoostingClassifier(n_estimators=8, random_state=0),
        ensemble.AdaBoostClassifier(n_estimators=5, random_state=0),
        ensemble.BaggingClassifier(n_estimators=4, random_state=0),
        linear_model.LogisticRegression(),
        linear_model.SGDClassifier(loss="log_loss", random_state=0),
        linear_model.RidgeClassifier(),
        svm.SVC(kernel="rbf", probability=True, random_state=0),
        svm.SVC(kernel="poly", random_state=0),
        naive_bayes.GaussianNB(),
        neighbors.KNeighborsClassifier(3),
        neural_network.MLPClassifier((8,), max_iter=50, random_state=0),
    ]


def regressors():
    from sklearn import ensemble, linear_model, neural_network, svm, tree

    return [
        tree.DecisionTreeRegressor(max_depth=4, random_state=0),
        ensemble.RandomForestRegressor(n_estimators=8, max_depth=4, random_state=0),
        ensemble.GradientBoostingRegressor(n_estimators=8, random_state=0),
        ensemble.IsolationForest(n_estimators=4, random_state=0),
        linear_model.LinearRegression(),
        linear_model.ElasticNet(),
        svm.SVR(),
        svm.OneClassSVM(),
        neural_network.MLPRegressor(hidden_layer_sizes=(8,), max_iter=50, random_state=0),
    ]


def check_pipeline(tool, steps, inputs, types):
    """A fitted pipeline as a file, with ONNX Runtime's results, of which some are maps."""
    from skl2onnx import convert_sklearn

    model = convert_sklearn(steps, initial_types=types, target_opset={"": 18, "ai.onnx.ml": 3})
    path = tool.path(".onnx")
    path.write_bytes(model.SerializeToString())
    expected = ort_run(path, inputs)
    plain = {n: v.astype(str) if v.dtype == object else v for n, v in inputs.items()}
    actual = tool.run(path, plain)
    for name, wanted in expected.items():
        if isinstance(wanted, list):
            expect_maps(actual, name, wanted)
        elif wanted.dtype == object:
            assert list(actual[name].ravel()) == list(wanted.ravel()), f"{steps}: {name}"
        else:
            expect_near(f"{steps}: {name}", actual[name], wanted, 1e-4)


def test_scikit_learn(tool):
    """Whole files of scikit-learn, as skl2onnx writes them."""
    import warnings

    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, PolynomialFeatures, StandardScaler

    warnings.simplefilter("ignore")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 4)).astype(np.float32)
    for classes in (2, 3):
        y = np.digitize(x[:, 0] + x[:, 1] ** 2, [0.5, 1.5][: classes - 1])
        for labels in (y, np.array(["red", "green", "blue"])[y]):
            for k, model in enumerate(classifiers()):
                first = [StandardScaler(), MinMaxScaler()][k % 2]
                steps = make_pipeline(first, model).fit(x, labels)
                check_pipeline(tool, steps, {"x": x[:20]}, [("x", FloatTensorType([None, 4]))])
    for model in regressors():
        steps = make_pipeline(PolynomialFeatures(2), model).fit(x, x[:, 0] * x[:, 1])
        check_pipeline(tool, steps, {"x": x[:20]}, [("x", FloatTensorType([None, 4]))])


def test_scikit_learn_columns(tool):
    """Columns of numbers with holes, and of words."""
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

    rng = np.random.default_rng(1)
    numbers = rng.normal(size=(60, 2)).astype(np.float32)
    numbers[::7, 1] = np.nan
    words = rng.choice(["left", "right", "up"], (60, 2))
    table = np.concatenate([numbers.astype(object), words.astype(object)], axis=1)
    for encoder in (OneHotEncoder(handle_unknown="ignore"), OrdinalEncoder()):
        columns = ColumnTransformer([
            ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), [0, 1]),
            ("words", encoder, [2, 3]),
        ])  # fmt: skip
        steps = make_pipeline(columns, LogisticRegression()).fit(table, rng.integers(0, 2, 60))
        types = [("a", FloatTensorType([None, 2])), ("b", StringTensorType([None, 2]))]
        check_pipeline(tool, steps, {"a": numbers, "b": words.astype(object)}, types)
