package cel

import "strings"

// events are the names of the firmware's events (TCG PC Client Platform Firmware
// Profile 1.06, section "Event Types"), which CEL-JSON and CEL-CBOR may have in
// place of the numbers, in any case of letters.
var events = map[string]uint32{
	"ev_preboot_cert":                  0x00000000,
	"ev_post_code":                     0x00000001,
	"ev_unused":                        0x00000002,
	"ev_no_action":                     0x00000003,
	"ev_separator":                     0x00000004,
	"ev_action":                        0x00000005,
	"ev_event_tag":                     0x00000006,
	"ev_s_crtm_contents":               0x00000007,
	"ev_s_crtm_version":                0x00000008,
	"ev_cpu_microcode":                 0x00000009,
	"ev_platform_config_flags":         0x0000000a,
	"ev_table_of_devices":              0x0000000b,
	"ev_compact_hash":                  0x0000000c,
	"ev_ipl":                           0x0000000d,
	"ev_ipl_partition_data":            0x0000000e,
	"ev_nonhost_code":                  0x0000000f,
	"ev_nonhost_config":                0x00000010,
	"ev_nonhost_info":                  0x00000011,
	"ev_omit_boot_device_events":       0x00000012,
	"ev_post_code2":                    0x00000013,
	"ev_efi_event_base":                0x80000000,
	"ev_efi_variable_driver_config":    0x80000001,
	"ev_efi_variable_boot":             0x80000002,
	"ev_efi_boot_services_application": 0x80000003,
	"ev_efi_boot_services_driver":      0x80000004,
	"ev_efi_runtime_services_driver":   0x80000005,
	"ev_efi_gpt_event":                 0x80000006,
	"ev_efi_action":                    0x80000007,
	"ev_efi_platform_firmware_blob":    0x80000008,
	"ev_efi_handoff_tables":            0x80000009,
	"ev_efi_platform_firmware_blob2":   0x8000000a,
	"ev_efi_handoff_tables2":           0x8000000b,
	"ev_efi_variable_boot2":            0x8000000c,
	"ev_efi_gpt_event2":                0x8000000d,
	"ev_efi_hcrtm_event":               0x80000010,
	"ev_efi_variable_authority":        0x800000e0,
	"ev_efi_spdm_firmware_blob":        0x800000e1,
	"ev_efi_spdm_firmware_config":      0x800000e2,
	"ev_efi_spdm_device_policy":        0x800000e3,
	"ev_efi_spdm_device_authority":     0x800000e4,
}

// eventNameMax bounds a name, in bytes.
const eventNameMax = 64

func eventByName(name []byte) (uint32, bool) {
	kind, ok := events[strings.ToLower(string(name))]
	return kind, ok
}
