//! Not trusted. The texts that the judge is measured on, frozen: what is compared over the years is
//! the same machine code. They are those of commit c45834e, where the bench first compared them,
//! but for one.

use crate::run::step;
use sha2::{Digest, Sha256};

/// SHA-256 of the text of the generated program.
const GENERATED: &str = "0440dbca1eac844e7682754e0edb79a79621a2a2b49f12dd72d577fb2e93ab8b";

/// Examples, by their names below `examples/`, with the bytes and the SHA-256 of their texts.
///
/// `sort` has one instruction that the assembler has written otherwise since, three bytes shorter:
/// `lea r13, [rbx*2 + 1]` is `[rbx + rbx + 1]`. Its text was `f32996193ce7efe8...`, of 638 bytes.
pub(super) const EXAMPLES: &[(&str, u64, &str)] = &[
    ("args", 254, "0196d06ffeb73b18a673536f8059734ded88d2c4be6468295c0c6e9b946e658e"),
    ("base64", 590, "9eefc29fdcb387da3691dc21fa4274abe1929c0a0c2ef241f61852c1e79dd56b"),
    ("cat", 350, "58e4cf5c405178daeab632005f9e0893ad1467ef497bcfd84973471aea7dcab2"),
    ("echo", 1017, "3954721f3a79b5e7164f5e24885ee7f7140f8d1d0b2e7ae8b525f477a3c76083"),
    ("hello", 41, "7a6acc402f094a4548bdd21ac0ee4387ac0d4d4fef05891e97e2009f788a9b32"),
    ("httpd", 6297, "b0c18c2c3798ddc741d532db6f8e9d8617ee0914e91cb763661e6cd2b03924b7"),
    ("primes", 329, "7d91d8bdfc971959234844e1a32b20b77eb18ab0450507e9a44548f74502e09e"),
    ("sha256sum", 766, "0446614241a4cea971ee30a4e0be021ee4cfb1665b6af18cb73ff9abbc230939"),
    ("sort", 638, "d2dc91b6a193a21b7ae8b3cff2e4e9034f594893e3612f8e75fd020a95a56a3f"),
    ("wc", 398, "195edecb59502a3dce098612c057fe3d030fee05a0874ecf866a159ae9fe1954"),
    ("wordfreq", 1442, "ff8f36480dc532cd45e9bc8904832db4eab56e690707aa3d6627dd176b1e9daa"),
    ("tests/bump", 505, "5b6e607b430768ab949262d3f2e0beccb4118722e76fcb6907ad8460cb7be12e"),
    ("tests/bytes", 601, "2fc315abef760c69a1893baba75c353a4e82414f3b391d5b716a49dacc1c5035"),
    ("tests/date", 734, "15f1ce5ad87a3b8e83257f8b99d3fc13497bc619ab84f143662a5a008e12d2b1"),
    ("tests/fmt", 313, "f5f00e490e6078e05a746d06975afd3f3e62cc952aaca25e95c4e3872cfa1715"),
    ("tests/foreach", 537, "2e6914fb1312111e2b84dfc8bda0622aecf5cbf6c8bcfd50c1da0835616d5066"),
    ("tests/list", 505, "fcd41f86cee92472fd564be9be87287236e990c8f9f8a4c745e418fb6b853b6b"),
    ("tests/matrix", 569, "8e92a5b041719677f0558fff5f6455ebb143e93de8f797640772a95264a30eb8"),
    ("tests/pool", 601, "9d1f6374dde5530d7bf1ac3a6a66d5d46cb87e88f95768eca54c013e57c5069c"),
    ("tests/search", 521, "2e0e72bb0e4836e279a16a5e67d38f886d80b82a0a571aa2fb71b410323c830e"),
    ("tests/sorting", 585, "8a1cf3fde235473e71a4a81a9e58a8bf134b03891d048f26c8b96b6c7c88b7a6"),
    ("tests/table", 713, "14dadbf44385008a386434de59bde59aff6ee96c984bd89e4a917c8d43c5e044"),
    ("tests/tokens", 441, "c3d0e33dd50d083d4fef45becc302abadc6ef34c922f87014430408d7debbcec"),
    ("tests/vector", 713, "4a1830bad1b4897d4046eb401d62ee8fb0cbb86c1ec2f2874aa1135f9a96cebb"),
];

/// Is this the text that was frozen? If not, that is said.
pub(super) fn same(name: &str, text: &[u8]) -> bool {
    let known = EXAMPLES.iter().find(|(example, ..)| *example == name);
    let frozen = known.map_or(GENERATED, |(_, _, hash)| *hash);
    let hash: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    let same = hash == frozen;
    if !same {
        step(&format!("{name}: another text than the frozen one: {} bytes, {hash}", text.len()));
    }
    same
}
