//! Lists whose order means nothing: `x-kubernetes-list-type` `set` and `map`.
//!
//! Beside what every list can do, they are equal to a list of the same items in whatever order, and `+` is a union: what the left side has keeps
//! its place, what only the right side has is appended; in a keyed list the right side's item takes the place of the one with the same keys. As in
//! `k8s.io/apiserver/pkg/cel/common/values.go`, the left operand's kind of list decides.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, OnceLock};

use ::cel::common::traits::{Adder, Container, Indexer, Iterable, Iterator, Sizer, Zeroer};
use ::cel::common::types::{CelDouble, CelInt, CelList, CelString, CelUInt, LIST_TYPE, Type};
use ::cel::common::value::{CowVal, Val};
use ::cel::{ExecutionError, Value};

use super::failure;
use super::lists::elements;

/// What the items of a list are known by.
#[derive(Clone, Debug)]
pub(super) enum Identity {
    /// Themselves.
    Set,
    /// Their values of these fields, by the names that the fields have in expressions.
    Map(Arc<[String]>),
}

/// A set, or a list with keys.
#[derive(Clone, Debug)]
pub(super) struct Unordered<'v>(Arc<Inner<'v>>);

#[derive(Debug)]
struct Inner<'v> {
    list: CelList<'v>,
    identity: Identity,
    /// The items' places by the hash of what they are known by, made when first asked for.
    index: OnceLock<HashMap<u64, Vec<usize>>>,
}

/// The hash of one process; nobody outside can make two items meet.
fn hash(value: impl std::hash::Hash) -> u64 {
    static STATE: OnceLock<RandomState> = OnceLock::new();
    STATE.get_or_init(RandomState::new).hash_one(value)
}

/// A number that equal values have in common.
fn fingerprint(value: &dyn Val) -> u64 {
    let number = if let Some(number) = value.downcast_ref::<CelInt>() {
        Some(*number.inner() as f64)
    } else if let Some(number) = value.downcast_ref::<CelUInt>() {
        Some(*number.inner() as f64)
    } else {
        value.downcast_ref::<CelDouble>().map(|number| *number.inner())
    };
    if let Some(number) = number {
        // Minus zero is zero.
        return hash((number + 0.0).to_bits());
    }
    if let Some(text) = value.downcast_ref::<CelString>() {
        return hash(text.inner());
    }
    // Whatever order lists and maps are in.
    if let Some(index) = value.as_indexer().filter(|_| value.as_sizer().is_some()) {
        let is_list = value.get_type().kind() == LIST_TYPE.kind();
        return elements(value).into_iter().fold(1, |sum: u64, item| {
            let own = if is_list { None } else { index.get(item).ok().map(|value| fingerprint(value.as_ref())) };
            sum.wrapping_add(hash((fingerprint(item), own)))
        });
    }
    match Value::try_from(value) {
        Ok(Value::Bool(value)) => hash(value),
        Ok(Value::Bytes(bytes)) => hash(bytes),
        Ok(Value::Timestamp(at)) => hash((at.timestamp(), at.timestamp_subsec_nanos())),
        Ok(Value::Duration(length)) => hash(length),
        _ => 0,
    }
}

impl Identity {
    fn fingerprint(&self, item: &dyn Val) -> u64 {
        match self {
            Self::Set => fingerprint(item),
            Self::Map(keys) => keys.iter().fold(0, |sum: u64, key| {
                let own = item.as_indexer().and_then(|item| item.get(&CelString::from(key.as_str())).ok());
                hash((sum, own.map(|own| fingerprint(own.as_ref()))))
            }),
        }
    }

    /// Whether two items are the same one.
    fn same(&self, item: &dyn Val, other: &dyn Val) -> bool {
        let Self::Map(keys) = self else { return item.equals(other) };
        keys.iter().all(|key| {
            let key = CelString::from(key.as_str());
            let [own, other] = [item, other].map(|item| item.as_indexer().and_then(|item| item.get(&key).ok()));
            match (own, other) {
                (Some(own), Some(other)) => own.equals(other.as_ref()),
                (None, None) => true,
                _ => false,
            }
        })
    }
}

impl<'v> Unordered<'v> {
    pub(super) fn new(items: Vec<Box<dyn Val + 'v>>, identity: Identity) -> Self {
        Self(Arc::new(Inner { list: CelList::from(items), identity, index: OnceLock::new() }))
    }

    /// The place of the item that is the same as another list's.
    fn find(&self, item: &dyn Val) -> Option<usize> {
        let Inner { list, identity, index } = &*self.0;
        let index = index.get_or_init(|| {
            let mut index = HashMap::<u64, Vec<usize>>::new();
            for (place, item) in list.inner().iter().enumerate() {
                index.entry(identity.fingerprint(item.as_ref())).or_default().push(place);
            }
            index
        });
        // The last one counts where there are several.
        let places = index.get(&identity.fingerprint(item))?;
        places.iter().rev().copied().find(|place| identity.same(list[*place].as_ref(), item))
    }
}

impl<'v> Val for Unordered<'v> {
    fn get_type(&self) -> &Type {
        <Self as Val>::cel_type()
    }

    fn cel_type() -> &'static Type {
        CelList::cel_type()
    }

    fn as_adder<'b, 'w>(&'b self) -> Option<&'b (dyn Adder + 'w)>
    where
        Self: 'w,
    {
        Some(self)
    }

    fn as_container(&self) -> Option<&dyn Container> {
        Some(self)
    }

    fn as_indexer<'b, 'w>(&'b self) -> Option<&'b (dyn Indexer + 'w)>
    where
        Self: 'w,
    {
        Some(self)
    }

    fn as_iterable<'b, 'w>(&'b self) -> Option<&'b (dyn Iterable + 'w)>
    where
        Self: 'w,
    {
        Some(self)
    }

    fn as_sizer(&self) -> Option<&dyn Sizer> {
        Some(self)
    }

    fn as_zeroer(&self) -> Option<&dyn Zeroer> {
        Some(self)
    }

    fn equals(&self, other: &dyn Val) -> bool {
        let is_list = other.get_type().kind() == LIST_TYPE.kind();
        let others = elements(other);
        is_list
            && others.len() == self.0.list.len()
            && others.into_iter().all(|item| match (&self.0.identity, self.find(item)) {
                (Identity::Set, place) => place.is_some(),
                (Identity::Map(_), place) => place.is_some_and(|place| self.0.list[place].equals(item)),
            })
    }

    fn clone_as_boxed<'w>(&self) -> Box<dyn Val + 'w>
    where
        Self: 'w,
    {
        Box::new(self.clone())
    }
}

impl<'v> Adder for Unordered<'v> {
    fn add<'b, 'w>(&'b self, other: &(dyn Val + 'w)) -> Result<CowVal<'b, 'w>, ExecutionError>
    where
        Self: 'w,
    {
        if other.get_type().kind() != LIST_TYPE.kind() {
            return Err(failure("no such overload"));
        }
        let identity = &self.0.identity;
        let mut items: Vec<Box<dyn Val + 'w>> = self.0.list.inner().iter().map(|item| item.clone_as_boxed()).collect();
        let mut appended = HashMap::<u64, Vec<usize>>::new();
        for item in elements(other) {
            let known = self.find(item).or_else(|| {
                let places = appended.get(&identity.fingerprint(item))?;
                places.iter().copied().find(|place| identity.same(items[*place].as_ref(), item))
            });
            match (known, identity) {
                (Some(_), Identity::Set) => {}
                (Some(place), Identity::Map(_)) => items[place] = item.clone_as_boxed(),
                (None, _) => {
                    appended.entry(identity.fingerprint(item)).or_default().push(items.len());
                    items.push(item.clone_as_boxed());
                }
            }
        }
        Ok(CowVal::owned(Unordered::new(items, identity.clone())))
    }
}

impl Container for Unordered<'_> {
    fn contains(&self, value: &dyn Val) -> Result<bool, ExecutionError> {
        self.0.list.contains(value)
    }
}

impl Indexer for Unordered<'_> {
    fn get<'b, 'w>(&'b self, place: &dyn Val) -> Result<CowVal<'b, 'w>, ExecutionError>
    where
        Self: 'w,
    {
        Indexer::get(&self.0.list, place)
    }

    fn steal<'w>(self: Box<Self>, place: &dyn Val) -> Result<Box<dyn Val + 'w>, ExecutionError>
    where
        Self: 'w,
    {
        Indexer::get(&self.0.list, place).map(|item| item.clone_as_boxed())
    }
}

impl Iterable for Unordered<'_> {
    fn iter<'b, 'w>(&'b self) -> Box<dyn Iterator<'b, 'w> + 'b>
    where
        Self: 'w,
    {
        Iterable::iter(&self.0.list)
    }
}

impl Sizer for Unordered<'_> {
    fn size(&self) -> CelInt {
        self.0.list.size()
    }
}

impl Zeroer for Unordered<'_> {
    fn is_zero_value(&self) -> bool {
        self.0.list.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::super::{Error, Scope, compile};

    fn schema() -> Json {
        let set = |items: Json| json!({"type": "array", "x-kubernetes-list-type": "set", "items": items});
        json!({"type": "object", "properties": {
            "set": set(json!({"type": "string"})), "same": set(json!({"type": "string"})), "less": set(json!({"type": "string"})),
            "numbers": set(json!({"type": "integer"})), "times": set(json!({"type": "string", "format": "date-time"})),
            "plain": {"type": "array", "items": {"type": "string"}},
            "map": keyed(), "turned": keyed(), "other": keyed(), "inner": {"type": "object", "properties": {"set": set(json!({"type": "string"}))}}}})
    }

    fn keyed() -> Json {
        json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["a-b", "n"], "items": {"type": "object",
            "properties": {"a-b": {"type": "string"}, "n": {"type": "integer"}, "v": {"type": "string"}}}})
    }

    fn value() -> Json {
        let item = |key: &str, value: &str| json!({"a-b": key, "n": 1, "v": value});
        json!({"set": ["a", "b", "c"], "same": ["c", "a", "b"], "less": ["c", "d"], "plain": ["c", "b", "a"],
            "numbers": [1, 2, 3], "times": ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"],
            "map": [item("x", "1"), item("y", "2")], "turned": [item("y", "2"), item("x", "1")],
            "other": [item("y", "3"), {"a-b": "y", "n": 2, "v": "4"}], "inner": {"set": ["b", "a"]}})
    }

    fn scope() -> Scope {
        let mut scope = Scope::new();
        scope.typed("self", &value(), &schema(), false);
        scope
    }

    #[track_caller]
    fn check(rule: &str, expected: bool) {
        let answer = compile(rule, &["self"]).expect("it compiles").is_true(&scope());
        assert_eq!(answer, Ok(expected), "{rule}");
    }

    #[test]
    fn sets_are_equal_in_any_order() {
        check("self.set == self.same", true);
        check("self.set != self.same", false);
        check("self.set == ['b', 'c', 'a']", true);
        check("self.set == self.plain", true);
        check("self.plain == self.set", false);
        check("self.set == ['a', 'b']", false);
        check("self.set == ['a', 'b', 'd']", false);
        check("self.set == 'abc'", false);
        check("self.numbers == [3.0, 2.0, 1.0]", true);
        check("self.times == [timestamp('2026-01-02T01:00:00+01:00'), timestamp('2026-01-01T00:00:00Z')]", true);
        check("self.inner == {'set': ['a', 'b']}", true);
        check("self.inner.set == ['a', 'b']", true);
    }

    #[test]
    fn sets_are_added_without_repeating() {
        check("self.set + self.less == ['d', 'c', 'b', 'a']", true);
        check("(self.set + self.less)[3] == 'd' && (self.set + self.less)[2] == 'c'", true);
        check("(self.set + self.same).size() == 3", true);
        check("(self.set + ['e', 'e']).size() == 4", true);
        check("(self.plain + self.less).size() == 5", true);
    }

    #[test]
    fn keyed_lists_are_compared_and_added_by_their_keys() {
        check("self.map == self.turned", true);
        check("self.map == self.other", false);
        check("self.map + self.turned == self.map", true);
        check("(self.map + self.other).size() == 3", true);
        check("(self.map + self.other)[1].v == '3' && (self.map + self.other)[2].v == '4'", true);
        check("(self.other + self.map)[0].v == '2' && (self.other + self.map)[2].a__dash__b == 'x'", true);
    }

    #[test]
    fn they_are_lists() {
        check(
            "self.set.all(x, x in self.same) && self.set.exists(x, x == 'c') && self.set.map(x, x) == ['a', 'b', 'c']",
            true,
        );
        check(
            "self.set[0] == 'a' && size(self.set) == 3 && self.set.join('') == 'abc' && type(self.set) == list",
            true,
        );
        check(
            "self.map.filter(x, x.n == 1).size() == 2 && self.set.isSorted() && sets.equivalent(self.set, self.same)",
            true,
        );
        check("self.numbers.sum() == 6 && self.set.indexOf('b') == 1 && self.set[?7].orValue('z') == 'z'", true);
        let failed = compile("self.set[9] == 'a'", &["self"]).expect("it compiles").is_true(&scope());
        assert_eq!(failed, Err(Error::Evaluate("index out of bounds: 9".to_owned())));
        let failed = compile("self.set + 1 == []", &["self"]).expect("it compiles").is_true(&scope());
        assert_eq!(failed, Err(Error::Evaluate("no such overload".to_owned())));
    }

    #[test]
    fn large_sets_are_compared_soon() {
        let items =
            |turn: usize| (0..100_000).map(|n| json!(format!("item-{}", (n + turn) % 100_000))).collect::<Vec<_>>();
        let mut scope = Scope::new();
        scope.typed("self", &json!({"set": items(0), "same": items(7)}), &schema(), false);
        let program = compile("self.set == self.same && (self.set + self.same).size() == 100000", &["self"])
            .expect("it compiles");
        // Pair by pair this would be 10^10 comparisons: minutes, here well below a second.
        assert_eq!(program.is_true(&scope), Ok(true));
    }
}
