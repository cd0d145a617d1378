/* Sealing, hashes, key derivation, key agreement and compression against the vectors of their specifications. */
#include "nn_aead.h"
#include "nn_base64.h"
#include "nn_compress.h"
#include "nn_crypto.h"
#include "nn_hash.h"
#include "nn_key_schedule.h"
#include "test.h"

static size_t hex(const char* text, uint8_t* out)
{
    size_t n = 0;
    for (; text[0]; text += 2) {
        while (*text == ' ') text++;
        unsigned value = 0;
        if (sscanf(text, "%2x", &value) != 1) TEST_FAIL("not hex: %s", text);
        out[n++] = (uint8_t)value;
    }
    return n;
}

#define TEST_HEX(actual, expected) \
    do { \
        uint8_t test_hex[256]; \
        size_t test_hex_bytes = hex(expected, test_hex); \
        TEST_EQUAL_BYTES(actual, test_hex, test_hex_bytes); \
    } while (0)

static void need_crypto(void)
{
    if (!nn_aead_suites()) TEST_SKIP("no crypto library");
}

/* The table `vectors` of Aumasson's reference code: key 00..0f, input 00, 01, 02 .. of each length. */
TEST(test_siphash_gives_the_vectors_of_its_authors)
{
    uint8_t key[16], data[64], out[16];
    for (size_t i = 0; i < sizeof key; i++) key[i] = (uint8_t)i;
    for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)i;
    TEST_EQUAL(nn_siphash64(key, data, 0), UINT64_C(0x726fdb47dd0e0e31));
    TEST_EQUAL(nn_siphash64(key, data, 1), UINT64_C(0x74f839c593dc67fd));
    TEST_EQUAL(nn_siphash64(key, data, 8), UINT64_C(0x93f5f5799a932462));
    TEST_EQUAL(nn_siphash64(key, data, 15), UINT64_C(0xa129ca6149be45e5));
    TEST_EQUAL(nn_siphash64(key, data, 63), UINT64_C(0x958a324ceb064572));
    nn_siphash128(key, data, 0, out);
    TEST_HEX(out, "a3817f04ba25a8e66df67214c7550293");
    nn_siphash128(key, data, 1, out);
    TEST_HEX(out, "da87c1d86b99af44347659119b22fc45");
    nn_siphash128(key, data, 15, out);
    TEST_HEX(out, "5493e99933b0a8117e08ec0f97cfc3d9");
    nn_siphash128(key, data, 16, out);
    TEST_HEX(out, "6ee2a4ca67b054bbfd3315bf85230577");
}

TEST(test_sha1_gives_the_vectors_of_rfc_3174)
{
    uint8_t out[20];
    nn_sha1("abc", 3, out);
    TEST_HEX(out, "a9993e364706816aba3e25717850c26c9cd0d89d");
    nn_sha1("", 0, out);
    TEST_HEX(out, "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    const char* two = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    nn_sha1(two, strlen(two), out);
    TEST_HEX(out, "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    char* many = (char*)malloc(1000000);
    memset(many, 'a', 1000000);
    nn_sha1(many, 1000000, out);
    free(many);
    TEST_HEX(out, "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}

TEST(test_fnv1a64_gives_the_vectors_of_its_authors)
{
    TEST_EQUAL(nn_fnv1a64(NN_FNV1A64_BASIS, "", 0), UINT64_C(0xcbf29ce484222325));
    TEST_EQUAL(nn_fnv1a64(NN_FNV1A64_BASIS, "a", 1), UINT64_C(0xaf63dc4c8601ec8c));
    TEST_EQUAL(nn_fnv1a64(NN_FNV1A64_BASIS, "foobar", 6), UINT64_C(0x85944171f73967e8));
}

TEST(test_base64_gives_the_vectors_of_rfc_4648)
{
    static const char* const plain[] = {"f", "fo", "foo", "foob", "fooba", "foobar"};
    static const char* const padded[] = {"Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    static const char* const bare[] = {"Zg", "Zm8", "Zm9v", "Zm9vYg", "Zm9vYmE", "Zm9vYmFy"};
    char text[32];
    uint8_t data[32];
    size_t bytes = 0;
    for (size_t i = 0; i < NN_COUNT(plain); i++) {
        TEST_EQUAL(nn_base64_encode(plain[i], i + 1, false, text, sizeof text), strlen(padded[i]));
        TEST_EQUAL_STRING(text, padded[i]);
        TEST_CHECK(nn_base64_decode(text, strlen(text), false, data, i + 1, &bytes));
        TEST_EQUAL(bytes, i + 1);
        TEST_EQUAL_BYTES(data, plain[i], bytes);
        TEST_EQUAL(nn_base64_encode(plain[i], i + 1, true, text, sizeof text), strlen(bare[i]));
        TEST_EQUAL_STRING(text, bare[i]);
        TEST_CHECK(nn_base64_decode(text, strlen(text), true, data, sizeof data, &bytes));
        TEST_EQUAL_BYTES(data, plain[i], bytes);
        TEST_CHECK(!nn_base64_decode(bare[i], strlen(bare[i]), true, data, i, &bytes)); /* no room */
    }
    TEST_EQUAL(nn_base64_encode("\xfb\xff", 2, false, text, sizeof text), 4);
    TEST_EQUAL_STRING(text, "+/8=");
    TEST_EQUAL(nn_base64_encode("\xfb\xff", 2, true, text, sizeof text), 3);
    TEST_EQUAL_STRING(text, "-_8");
    TEST_EQUAL(nn_base64_encode("abc", 3, false, text, 4), 0); /* the NUL has no room */
}

TEST(test_base64_refuses_every_other_form)
{
    static const char* const bad[] = {
        "Zg", "Zg=", "Zg===", "Z===", "====", "Zh==", "Zm9=", "Zg==Zg==", "Zm 9v", "Zm9v\n", "Zm-v", "Zm_v", "Z"};
    static const char* const bad_url[] = {"Zg==", "Zh", "Zm9", "Zm+v", "Zm/v", "Z", "Zm9vY", "Zm9v "};
    uint8_t data[32];
    size_t bytes = 0;
    for (size_t i = 0; i < NN_COUNT(bad); i++) {
        TEST_HINT("%s", bad[i]);
        TEST_CHECK(!nn_base64_decode(bad[i], strlen(bad[i]), false, data, sizeof data, &bytes));
    }
    for (size_t i = 0; i < NN_COUNT(bad_url); i++) {
        TEST_HINT("%s", bad_url[i]);
        TEST_CHECK(!nn_base64_decode(bad_url[i], strlen(bad_url[i]), true, data, sizeof data, &bytes));
    }
}

TEST(test_sha256_and_hmac_give_the_vectors_of_fips_180_and_rfc_4231)
{
    need_crypto();
    uint8_t out[32];
    const nn_span abc[2] = {{"a", 1}, {"bc", 2}};
    TEST_OK(nn_sha256(abc, 2, out));
    TEST_HEX(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    TEST_OK(nn_sha256(NULL, 0, out));
    TEST_HEX(out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    const nn_span what[2] = {{"what do ya want ", 16}, {"for nothing?", 12}};
    TEST_OK(nn_hmac_sha256("Jefe", 4, what, 2, out));
    TEST_HEX(out, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    uint8_t key[131];
    memset(key, 0xaa, sizeof key); /* longer than a block: hashed first */
    const char* text = "Test Using Larger Than Block-Size Key - Hash Key First";
    const nn_span large = {text, strlen(text)};
    TEST_OK(nn_hmac_sha256(key, sizeof key, &large, 1, out));
    TEST_HEX(out, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(test_hkdf_gives_the_vectors_of_rfc_5869)
{
    need_crypto();
    uint8_t key[80], salt[80], info[80], out[82];
    memset(key, 0x0b, 22);
    hex("000102030405060708090a0b0c", salt);
    hex("f0f1f2f3f4f5f6f7f8f9", info);
    TEST_OK(nn_hkdf(salt, 13, key, 22, info, 10, out, 42));
    TEST_HEX(out, "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    for (size_t i = 0; i < 80; i++) {
        key[i] = (uint8_t)i;
        salt[i] = (uint8_t)(0x60 + i);
        info[i] = (uint8_t)(0xb0 + i);
    }
    TEST_OK(nn_hkdf(salt, 80, key, 80, info, 80, out, 82));
    TEST_HEX(out, "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
                  "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
                  "cc30c58179ec3e87c14c01d5c1f3434f1d87");
    memset(key, 0x0b, 22);
    TEST_OK(nn_hkdf(NULL, 0, key, 22, NULL, 0, out, 42));
    TEST_HEX(out, "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
}

TEST(test_pbkdf2_gives_the_vectors_of_rfc_7914)
{
    need_crypto();
    uint8_t out[64];
    TEST_OK(nn_pbkdf2("passwd", 6, "salt", 4, 1, out, 64));
    TEST_HEX(out, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"
                  "49ca9cccf179b645991664b39d77ef317c71b845b1e30bd509112041d3a19783");
    TEST_OK(nn_pbkdf2("Password", 8, "NaCl", 4, 80000, out, 64));
    TEST_HEX(out, "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"
                  "a1d425a1225833549adb841b51c9b3176a272bdebba1d078478f62b397f33c8d");
}

TEST(test_x25519_gives_the_vectors_of_rfc_7748)
{
    need_crypto();
    uint8_t scalar[32], point[32], out[32];
    hex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4", scalar);
    hex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c", point);
    TEST_OK(nn_x25519(NULL, scalar, point, out));
    TEST_HEX(out, "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
    hex("4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d", scalar);
    hex("e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493", point);
    TEST_OK(nn_x25519(NULL, scalar, point, out));
    TEST_HEX(out, "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957");
    /* 6.1: Alice and Bob */
    uint8_t alice[32], bob[32], shared[32];
    static const uint8_t base_point[32] = {9};
    hex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a", alice);
    hex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb", bob);
    TEST_OK(nn_x25519(NULL, bob, base_point, out));
    TEST_HEX(out, "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
    uint8_t alice_public[32];
    TEST_OK(nn_x25519(NULL, alice, base_point, alice_public));
    TEST_HEX(alice_public, "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
    TEST_OK(nn_x25519(NULL, bob, alice_public, shared));
    TEST_HEX(shared, "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
    TEST_OK(nn_x25519(NULL, alice, out, point));
    TEST_EQUAL_BYTES(point, shared, 32);
}

TEST(test_x25519_iterated_a_thousand_times_gives_the_vector_of_rfc_7748)
{
    need_crypto();
    uint8_t k[32] = {9}, u[32] = {9}, out[32];
    for (int i = 0; i < 1000; i++) {
        TEST_OK(nn_x25519(NULL, k, u, out));
        memcpy(u, k, sizeof u);
        memcpy(k, out, sizeof k);
        if (i == 0) TEST_HEX(k, "422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079");
    }
    TEST_HEX(k, "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51");
}

/* RFC 7748 6.1 and 7: the result is zero whatever the scalar, so that the secret would be no secret. */
TEST(test_x25519_refuses_points_of_small_order)
{
    need_crypto();
    static const char* const points[] = {"0000000000000000000000000000000000000000000000000000000000000000",
                                         "0100000000000000000000000000000000000000000000000000000000000000",
                                         "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
                                         "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
                                         "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                                         "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
                                         "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"};
    uint8_t scalar[32], point[32], out[32];
    memset(scalar, 0x42, sizeof scalar);
    for (size_t i = 0; i < NN_COUNT(points); i++) {
        hex(points[i], point);
        TEST_HINT("point %d", (int)i);
        TEST_EQUAL(nn_x25519(NULL, scalar, point, out), NECPNET_ERR_PROTOCOL);
    }
}

static const char sunscreen[] = "Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the "
                                "future, sunscreen would be it.";

TEST(test_chacha20_poly1305_gives_the_vector_of_rfc_8439)
{
    need_crypto();
    struct necpnet_allocator allocator = test_allocator();
    nn_alloc alloc;
    nn_alloc_init(&alloc, &allocator);
    uint8_t key[32], iv[12], header[12], data[114], tag[16];
    for (size_t i = 0; i < 32; i++) key[i] = (uint8_t)(0x80 + i);
    hex("070000004041424344454647", iv);
    hex("50515253c0c1c2c3c4c5c6c7", header);
    memcpy(data, sunscreen, sizeof data);
    nn_aead* aead = NULL;
    TEST_OK(nn_aead_create(&alloc, NN_SUITE_CHACHA20_POLY1305, key, iv, &aead));
    nn_aead_seal(aead, 0, header, sizeof header, data, sizeof data, tag);
    TEST_HEX(tag, "1ae10b594f09e26a7e902ecbd0600691");
    TEST_HEX(data, "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6"
                   "3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36"
                   "92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc"
                   "3ff4def08e4b7a9de576d26586cec64b6116");
    TEST_CHECK(nn_aead_open(aead, 0, header, sizeof header, data, sizeof data, tag));
    TEST_EQUAL_BYTES(data, sunscreen, sizeof data);
    TEST_CHECK(
        nn_aead_seal_once(NN_SUITE_CHACHA20_POLY1305, key, iv, 0, header, sizeof header, data, sizeof data, tag));
    TEST_HEX(tag, "1ae10b594f09e26a7e902ecbd0600691");
    TEST_CHECK(
        nn_aead_open_once(NN_SUITE_CHACHA20_POLY1305, key, iv, 0, header, sizeof header, data, sizeof data, tag));
    TEST_EQUAL_BYTES(data, sunscreen, sizeof data);
    /* The number enters the nonce big-endian in the last 8 bytes: iv xor 1 is another nonce with number 1. */
    iv[11] ^= 1;
    TEST_CHECK(
        nn_aead_seal_once(NN_SUITE_CHACHA20_POLY1305, key, iv, 1, header, sizeof header, data, sizeof data, tag));
    TEST_HEX(tag, "1ae10b594f09e26a7e902ecbd0600691");
    nn_aead_destroy(aead);
}

/* McGrew and Viega, The Galois/Counter Mode of Operation, test case 16. */
TEST(test_aes_256_gcm_gives_the_vector_of_its_authors)
{
    need_crypto();
    struct necpnet_allocator allocator = test_allocator();
    nn_alloc alloc;
    nn_alloc_init(&alloc, &allocator);
    uint8_t key[32], iv[12], header[20], data[60], tag[16];
    hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", key);
    hex("cafebabefacedbaddecaf888", iv);
    hex("feedfacedeadbeeffeedfacedeadbeefabaddad2", header);
    hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
        data);
    nn_aead* aead = NULL;
    TEST_OK(nn_aead_create(&alloc, NN_SUITE_AES_256_GCM, key, iv, &aead));
    nn_aead_seal(aead, 0, header, sizeof header, data, sizeof data, tag);
    TEST_HEX(data, "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
                   "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662");
    TEST_HEX(tag, "76fc6ece0f4e1768cddf8853bb2d551b");
    TEST_CHECK(nn_aead_open(aead, 0, header, sizeof header, data, sizeof data, tag));
    nn_aead_destroy(aead);
}

TEST(test_every_suite_opens_what_it_sealed_and_nothing_else)
{
    struct necpnet_allocator allocator = test_allocator();
    nn_alloc alloc;
    nn_alloc_init(&alloc, &allocator);
    static const size_t sizes[] = {0, 1, 15, 16, 17, 64, 1180};
    for (uint32_t suite = 0; suite <= NN_SUITE_AES_256_GCM; suite++) {
        if (suite != NN_SUITE_NONE && !nn_aead_suites()) continue;
        uint8_t key[32], iv[12], header[9], plain[1180], data[1180], tag[16];
        memset(key, 7, sizeof key);
        memset(iv, 9, sizeof iv);
        memset(header, 3, sizeof header);
        memset(plain, 0x33, sizeof plain);
        nn_aead* aead = NULL;
        TEST_OK(nn_aead_create(&alloc, suite, key, iv, &aead));
        TEST_EQUAL(aead->suite, suite);
        for (size_t i = 0; i < NN_COUNT(sizes); i++) {
            size_t bytes = sizes[i];
            uint64_t taken = test_allocation_count();
            memcpy(data, plain, bytes);
            nn_aead_seal(aead, 1000 + i, header, sizeof header, data, bytes, tag);
            if (suite != NN_SUITE_NONE && bytes >= 15) TEST_CHECK(memcmp(data, plain, bytes) != 0);
            uint8_t sealed[1180];
            memcpy(sealed, data, bytes);
            for (size_t bit = 0; bit<(bytes + 9 + 16) * 8; bit += bytes> 100 ? 61 : 1) {
                uint8_t* at = bit / 8 < bytes       ? &data[bit / 8]
                              : bit / 8 < bytes + 9 ? &header[bit / 8 - bytes]
                                                    : &tag[bit / 8 - bytes - 9];
                *at ^= (uint8_t)(1u << bit % 8);
                TEST_CHECK(!nn_aead_open(aead, 1000 + i, header, sizeof header, data, bytes, tag));
                memcpy(data, sealed, bytes);
                if (at < data || at >= data + sizeof data) *at ^= (uint8_t)(1u << bit % 8);
            }
            TEST_CHECK(!nn_aead_open(aead, 1001 + i, header, sizeof header, data, bytes, tag));
            memcpy(data, sealed, bytes);
            TEST_CHECK(nn_aead_open(aead, 1000 + i, header, sizeof header, data, bytes, tag));
            TEST_EQUAL_BYTES(data, plain, bytes);
            TEST_EQUAL(test_allocation_count(), taken);
        }
        nn_aead_destroy(aead);
        TEST_EQUAL(alloc.bytes, 0);
    }
    nn_aead* none = NULL;
    uint8_t key[32] = {0};
    TEST_EQUAL(nn_aead_create(&alloc, 3, key, key, &none), NECPNET_ERR_UNSUPPORTED);
    if (!nn_aead_suites()) TEST_EQUAL(nn_aead_create(&alloc, 1, key, key, &none), NECPNET_ERR_UNSUPPORTED);
    nn_aead_destroy(NULL);
}

#if NECPNET_WITH_MBEDTLS && NECPNET_WITH_SODIUM
TEST(test_both_crypto_libraries_seal_and_agree_alike)
{
    struct necpnet_allocator allocator = test_allocator();
    nn_alloc alloc;
    nn_alloc_init(&alloc, &allocator);
    struct test_random random = test_random_begin(12);
    for (uint32_t suite = NN_SUITE_CHACHA20_POLY1305; suite <= NN_SUITE_AES_256_GCM; suite++) {
        if (suite == NN_SUITE_AES_256_GCM && !nn_aead_sodium_has_aes()) continue;
        for (size_t bytes = 0; bytes < 700; bytes += 1 + bytes / 5) {
            uint8_t key[32], nonce[12], header[9], plain[700], a[700], b[700], tag_a[16], tag_b[16];
            test_random_bytes(&random, key, sizeof key);
            test_random_bytes(&random, nonce, sizeof nonce);
            test_random_bytes(&random, header, sizeof header);
            test_random_bytes(&random, plain, sizeof plain);
            memcpy(a, plain, sizeof a);
            memcpy(b, plain, sizeof b);
            nn_aead* sodium = NULL;
            nn_aead* mbedtls = NULL;
            TEST_OK(nn_aead_sodium_create(&alloc, suite, key, &sodium));
            TEST_OK(nn_aead_mbedtls_create(&alloc, suite, key, &mbedtls));
            sodium->alloc = mbedtls->alloc = &alloc;
            sodium->seal(sodium, nonce, header, sizeof header, a, bytes, tag_a);
            mbedtls->seal(mbedtls, nonce, header, sizeof header, b, bytes, tag_b);
            TEST_EQUAL_BYTES(a, b, sizeof a);
            TEST_EQUAL_BYTES(tag_a, tag_b, sizeof tag_a);
            TEST_CHECK(mbedtls->open(mbedtls, nonce, header, sizeof header, a, bytes, tag_a));
            TEST_CHECK(sodium->open(sodium, nonce, header, sizeof header, b, bytes, tag_b));
            TEST_EQUAL_BYTES(a, plain, sizeof a);
            TEST_EQUAL_BYTES(b, plain, sizeof b);
            tag_a[15] ^= 0x80;
            TEST_CHECK(!mbedtls->open(mbedtls, nonce, header, sizeof header, a, bytes, tag_a));
            TEST_CHECK(!sodium->open(sodium, nonce, header, sizeof header, b, bytes, tag_a));
            nn_aead_destroy(sodium);
            nn_aead_destroy(mbedtls);
        }
    }
    for (int i = 0; i < 30; i++) {
        uint8_t scalar[32], point[32], a[32], b[32];
        test_random_bytes(&random, scalar, sizeof scalar);
        test_random_bytes(&random, point, sizeof point);
        TEST_OK(nn_x25519_sodium(scalar, point, a));
        TEST_OK(nn_x25519_mbedtls(NULL, scalar, point, b));
        TEST_EQUAL_BYTES(a, b, sizeof a);
    }
    uint8_t scalar[32] = {8}, point[32] = {1}, out[32];
    TEST_EQUAL(nn_x25519_sodium(scalar, point, out), NECPNET_ERR_PROTOCOL);
    TEST_EQUAL(nn_x25519_mbedtls(NULL, scalar, point, out), NECPNET_ERR_PROTOCOL);
    uint8_t key[32] = {0};
    TEST_CHECK(nn_aead_mbedtls_chacha_seal(key, key, NULL, 0, scalar, 32, point));
    TEST_CHECK(nn_aead_sodium_chacha_open(key, key, NULL, 0, scalar, 32, point));
    TEST_EQUAL(scalar[0], 8);
}
#endif

TEST(test_aead_create_gives_memory_back_when_it_fails)
{
    for (uint32_t suite = 0; suite <= NN_SUITE_AES_256_GCM; suite++) {
        if (suite != NN_SUITE_NONE && !nn_aead_suites()) continue;
        TEST_EACH_ALLOCATION_FAILS {
            struct necpnet_allocator allocator = test_allocator();
            nn_alloc alloc;
            nn_alloc_init(&alloc, &allocator);
            uint8_t key[32] = {1};
            nn_aead* aead = NULL;
            necpnet_result result = nn_aead_create(&alloc, suite, key, key, &aead);
            TEST_EQUAL(result, test_allocation_failed() ? NECPNET_ERR_OUT_OF_MEMORY : NECPNET_OK);
            nn_aead_destroy(aead);
        }
    }
}

TEST(test_key_schedule_separates_labels_phases_and_directions)
{
    for (uint32_t suite = 0; suite <= NN_SUITE_CHACHA20_POLY1305; suite++) {
        if (suite && !nn_aead_suites()) continue;
        uint8_t secret[32], a[44], b[44], phase[32];
        memset(secret, 5, sizeof secret);
        TEST_OK(nn_key_expand(suite, secret, "setup", a, sizeof a));
        TEST_OK(nn_key_expand(suite, secret, "refuse", b, sizeof b));
        TEST_CHECK(memcmp(a, b, sizeof a) != 0);
        TEST_CHECK(memcmp(a, a + 12, 32) != 0);
        TEST_OK(nn_key_expand(suite, secret, "setup", b, sizeof b));
        TEST_EQUAL_BYTES(a, b, sizeof a);
        memcpy(phase, secret, sizeof phase);
        TEST_OK(nn_key_next_phase(suite, phase));
        TEST_CHECK(memcmp(phase, secret, sizeof phase) != 0);
        const nn_span one[2] = {{"ab", 2}, {"c", 1}};
        const nn_span other[2] = {{"ab", 2}, {"d", 1}};
        TEST_OK(nn_key_hash(suite, one, 2, a));
        TEST_OK(nn_key_hash(suite, other, 2, b));
        TEST_CHECK(memcmp(a, b, 32) != 0);
        TEST_OK(nn_key_extract(suite, secret, one, 2, a));
        TEST_OK(nn_key_extract(suite, secret, one, 1, b));
        TEST_CHECK(memcmp(a, b, 32) != 0);
        secret[31] ^= 1;
        TEST_OK(nn_key_extract(suite, secret, one, 2, b));
        TEST_CHECK(memcmp(a, b, 32) != 0);
    }
    uint8_t psk[32] = {1};
    static const uint8_t zeroes[32] = {0};
    TEST_OK(nn_key_of_passphrase("", psk));
    TEST_EQUAL_BYTES(psk, zeroes, 32);
    TEST_OK(nn_key_of_passphrase(NULL, psk));
    TEST_EQUAL(nn_key_of_passphrase("x", psk), nn_aead_suites() ? NECPNET_OK : NECPNET_ERR_UNSUPPORTED);
}

TEST(test_compress_returns_what_decompress_reads)
{
    char text[4096], packed[4096], back[4096];
    for (size_t i = 0; i < sizeof text; i++) text[i] = "position velocity "[i % 18];
    size_t bytes = nn_compress(text, sizeof text, packed, sizeof packed - 1);
    if (!nn_compress_is_built()) {
        TEST_EQUAL(bytes, 0);
        TEST_CHECK(!nn_decompress(packed, 10, back, 10));
        return;
    }
    TEST_GREATER(bytes, 0);
    TEST_LESS(bytes, 100);
    TEST_CHECK(nn_decompress(packed, bytes, back, sizeof back));
    TEST_EQUAL_BYTES(back, text, sizeof text);
    TEST_CHECK(!nn_decompress(packed, bytes, back, sizeof back - 1));
    TEST_CHECK(!nn_decompress(packed, bytes - 1, back, sizeof back));
    TEST_CHECK(!nn_decompress(packed, 0, back, sizeof back));
    TEST_EQUAL(nn_compress(text, 0, packed, sizeof packed), 0);
    struct test_random random = test_random_begin(1);
    test_random_bytes(&random, text, sizeof text);
    TEST_EQUAL(nn_compress(text, sizeof text, packed, sizeof text - 1), 0); /* no gain */
    for (int i = 0; i < 20000; i++) {
        size_t length = 1 + (size_t)test_random_below(&random, 200);
        test_random_bytes(&random, packed, length);
        char* exact = (char*)malloc(300); /* a sanitizer sees a write beyond it */
        (void)nn_decompress(packed, length, exact, 300);
        free(exact);
    }
}

TEST_MAIN
