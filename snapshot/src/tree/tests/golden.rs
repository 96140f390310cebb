//! The encoding stays what it is.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

fn sample() -> BTreeMap<TreePath, Node> {
    let mut dir = node(NodeKind::Dir);
    dir.mode = 0o755;
    dir.xattrs = vec![xattr("user.a", b"1"), xattr("user.b", b"")];
    let mut content = vec![data(1, 300), Extent::Hole { len: 5 }, Extent::Zero { len: 4096 }];
    let small = node(file(content.clone()));
    content.extend((2..12).map(|i| data(i, 10)));
    let mut link = node(NodeKind::Symlink(b"../x".to_vec()));
    link.mtime.seconds = -1;
    BTreeMap::from([
        (path("a"), dir),
        (path("a/big"), node(file(content))),
        (path("a/bin"), small),
        (path("a/dev"), node(NodeKind::BlockDevice { rdev: 0x801 })),
        (path("a/link"), link),
    ])
}

#[test]
fn the_encoding_of_a_leaf_does_not_change() {
    let store = Memory::default();
    let (root, _) = build(&store, &sample()).unwrap();
    let refs = store.refs(&root).unwrap();
    let meta = store.meta(&refs.meta.unwrap()).unwrap();
    assert_eq!(hex::encode(meta), LEAF);
    assert_eq!((refs.children.len(), refs.data.len()), (1, 1));
    let recipe = store.refs(refs.children.first().unwrap()).unwrap();
    assert_eq!(hex::encode(store.meta(&recipe.meta.unwrap()).unwrap()), RECIPE);
    assert_eq!(recipe.data.len(), 11);
}

#[test]
fn the_encoding_of_an_inner_node_does_not_change() {
    let child = |text| (path(text), ChunkId([1; 32]));
    let (meta, refs) = crate::tree::inner::encode(1, &[child("a"), child("a/b"), child("a-c")]);
    assert_eq!(hex::encode(meta), "0101010300016101022f6201022d63");
    assert_eq!(refs.children.len(), 3);
}

const LEAF: &str = "0100050104616e6e61010206757365722e61013106757365722e620000016101ed03e80764010080c49fd50c95\
    9aef3a020081104d010101042f62696700a403e80764010080c49fd50c959aef3a020081104d01000095230004016e00a403\
    e80764010080c49fd50c959aef3a020081104d010000b12204ad020005018020020364657606a403e80764010080c49fd50c\
    959aef3a020081104d0100811002046c696e6b02a403e80764010001959aef3a84c49fd50c0081104d0100042e2e2f78";
const RECIPE: &str = "01020dad0200050180200b0b0b0b0b0b0b0b0b0b";
